# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel and Synapse's metrics say, shortened; of Linux 6.18 and Synapse 1.163.2 but for cgroups of version 2."""

from __future__ import annotations

STAT_V1 = """\
cache 107171840
rss 33988608
shmem 21217280
swap 0
inactive_anon 46125056
active_anon 9080832
inactive_file 60866560
active_file 25088000
unevictable 0
hierarchical_memory_limit 9223372036854771712
hierarchical_memsw_limit 9223372036854771712
total_cache 107171840
total_rss 33988608
total_shmem 21217280
total_swap 4096
total_inactive_anon 46125056
total_active_anon 9080832
total_inactive_file 60866560
total_active_file 25088000
total_unevictable 0
"""
STAT_V2 = """\
anon 33988608
file 107171840
kernel 4096000
shmem 21217280
file_mapped 27328512
inactive_anon 46125056
active_anon 9080832
inactive_file 60866560
active_file 25088000
unevictable 0
slab_reclaimable 1024
"""

STATUS = """\
Name:\tpython
NSpid:\t22985\t7\t1
VmHWM:\t  130040 kB
VmRSS:\t  129040 kB
VmSwap:\t      16 kB
"""
ROLLUP = """\
00400000-7ffc88a13000 ---p 00000000 00:00 0                              [rollup]
Rss:              129041 kB
Pss:              125338 kB
Pss_Dirty:         94104 kB
Pss_Shmem:             5 kB
Private_Clean:     29704 kB
Private_Dirty:     94104 kB
Private_Hugetlb:       0 kB
Swap:                 12 kB
"""
# The name of a process may hold anything.
STAT = (
    "22985 (a) S 1 2) S 22742 22762 22762 0 -1 4194560 14454 366199 11 56 185 49 155 205 20 0 1 0 55349 224976896 7431"
)

ID = "e35bf0037ceac0804944ae93973b47d4b6c8dd82301b6f222c0543c6498af227"
# Of Linux 6.18.
LOG = [
    (1795884272.5, "python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"),
    (
        1795884272.6,
        f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={ID},mems_allowed=0,oom_memcg=/docker/{ID},"
        f"task_memcg=/docker/{ID},task=python,pid=26797,uid=991",
    ),
    (
        1795884272.7,
        "Memory cgroup out of memory: Killed process 26797 (python) total-vm:344000kB, anon-rss:93184kB,"
        " file-rss:34628kB, shmem-rss:1024kB, UID:991 pgtables:488kB oom_score_adj:0",
    ),
]

METRICS = """\
# TYPE synapse_build_info gauge
synapse_build_info{version="1.163.2"} 1.0
synapse_util_caches_cache_size{name="*getEvent*",server_name="localhost"} 25.0
synapse_util_caches_cache_hits{name="*getEvent*",server_name="localhost"} 250.0
synapse_util_caches_cache_evicted_size{name="*getEvent*",reason="size",server_name="localhost"} 3.0
synapse_util_caches_cache_evicted_size{name="*getEvent*",reason="time",server_name="localhost"} 2.0
synapse_util_caches_cache_evicted_size{name="*getEvent*",reason="invalidation",server_name="localhost"} 1.0
synapse_util_caches_cache{name="*getEvent*",server_name="localhost"} 300.0
synapse_util_caches_cache_max_size{name="*getEvent*",server_name="localhost"} 5120.0
synapse_util_caches_cache_max_size{name="unbounded",server_name="localhost"} +Inf
synapse_util_caches_cache_size{name="unbounded",server_name="localhost"} 4.0
synapse_util_caches_cache_size_bytes{name="unbounded",server_name="localhost"} 4096.0
# TYPE python_gc_time histogram
python_gc_time_bucket{gen="0",le="+Inf"} 4.0
python_gc_time_count{gen="0"} 4.0
python_gc_time_sum{gen="0"} 0.004263401031494141
python_gc_counts{gen="0"} 4330.0
python_gc_counts{gen="1"} 4.0
jemalloc_stats_app_memory_bytes{type="allocated"} 3.424352e+07
jemalloc_stats_app_memory_bytes{type="resident"} 4.1488384e+07
"""
