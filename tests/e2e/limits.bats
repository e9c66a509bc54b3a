# Memory, CPUs, processes and devices: what is asked for is what the workload gets, and what it uses is what is told, in both modes.
load lib

memory_limit='cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2> /dev/null || cat /sys/fs/cgroup/memory.max'

@test "more than -m is an OOM kill, reported" {
	run --separate-stderr caisson run --name eater -m 48m "$IMAGE" sh -c 'echo started; head -c 200000000 /dev/zero | tail'
	has "$output" started
	run -0 field eater .State.OOMKilled
	is "$output" true
	is "$(field eater .HostConfig.Memory)" 50331648
	caisson rm eater
	caisson run --name killed -m 48m "$IMAGE" tail /dev/zero || true
	is "$(field killed .State.ExitCode)" 137
	is "$(field killed .State.OOMKilled)" true
	caisson rm killed
}

@test "--cpus caps the time, and is rounded up to the CPUs of a VM" {
	run -0 --separate-stderr caisson run --rm --cpus 0.5 "$IMAGE" sh -c 'nproc; cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2> /dev/null || cat /sys/fs/cgroup/cpu.max'
	is "$(tail -n +2 <<< "$output" | tr '\n' ' ' | sed 's/ $//')" '50000 100000'
	# in process mode it shows the host's, as with docker
	[ "$MODE" = process ] || is "${lines[0]}" 1
	run -125 --separate-stderr caisson run --rm --cpus 1000 "$IMAGE" true
	matches "$stderr" 'range of CPUs is from 0.01 to [0-9]+.00, as there are only'
}

@test "a VM of 2 GiB, with the initramfs just below that, boots with and without a share" {
	skip_in process "it has no VM"
	run -0 --separate-stderr caisson run --rm --fresh-boot --network none -m 1g "$IMAGE" sh -c "$memory_limit"
	is "$output" 1073741824
	run -0 --separate-stderr caisson run --rm --fresh-boot --network none -m 1g -v "$E2E_DIR:/x" "$IMAGE" ls -d /x/root
	is "$output" /x/root
}

@test "--pids-limit stops a fork bomb" {
	run --separate-stderr caisson run --rm --pids-limit 20 "$IMAGE" sh -c 'cat /sys/fs/cgroup/pids/pids.max 2> /dev/null || cat /sys/fs/cgroup/pids.max; for i in $(seq 40); do sleep 5 & done; echo all'
	is "${lines[0]}" 20
	hasnt "$output" all
	has "$stderr" fork
}

@test "each limit is what the cgroup inside says" {
	local cpus=1 cpuset='--cpuset-cpus 0'
	[ "$MODE" = process ] || cpus=$(($(nproc) < 2 ? 1 : 2)) cpuset= # pinned, a boot would take its time
	run -0 --separate-stderr caisson run --rm -m 100m --memory-swap 150m --memory-reservation 60m --cpu-quota 20000 --cpu-period 50000 \
		--cpu-shares 512 ${cpuset:-} --pids-limit 77 --ulimit nofile=1000:2000 --ulimit core=0 --oom-score-adj 300 --sysctl net.ipv4.ip_forward=1 \
		--sysctl kernel.msgmax=9000 --shm-size 20m --kernel-memory 50m --tmpfs /t:size=90m "$IMAGE" sh -c "
			first() { for f; do [ ! -f /sys/fs/cgroup/\$f ] || { tr '\n' ' ' < /sys/fs/cgroup/\$f; return; }; done; }
			$memory_limit
			first memory/memory.memsw.limit_in_bytes memory.swap.max; first memory/memory.soft_limit_in_bytes memory.low
			first cpu/cpu.cfs_quota_us cpu.max; first cpu/cpu.cfs_period_us; first cpu/cpu.shares cpu.weight; first pids/pids.max pids.max; echo
			nproc; ulimit -Sn; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax
			df -k /dev/shm | awk '/shm/ { print \$2 }'
			dd if=/dev/zero of=/t/f bs=1M count=70 2> /dev/null && stat -c %s /t/f"
	is "${lines[0]}" 104857600
	# the second version of cgroups counts swap by itself, and turns shares into weights
	if [[ ${lines[1]} == 52428800* ]]; then
		is "${lines[1]}" '52428800 62914560 20000 50000 20 77 '
	else
		is "${lines[1]}" '157286400 62914560 20000 50000 512 77 '
	fi
	is "${lines[*]:2}" "$cpus 1000 2000 0 300 1 9000 20480 73400320"
	has "$stderr" 'WARNING: Specifying a kernel memory limit is deprecated'
}

@test "limits of block devices: the host's in process mode, refused in hyperv mode before anything is made" {
	local disk
	disk=$(cd /dev && for d in loop0 vda sda nvme0n1; do [ ! -b $d ] || { echo /dev/$d; break; }; done)
	[ -n "$disk" ] || skip 'no disk'
	if [ "$MODE" = hyperv ]; then
		run -125 --separate-stderr caisson run --rm --device-read-bps "$disk:1mb" "$IMAGE" true
		is "$stderr" "caisson: --device-read-bps is not possible with --isolation=hyperv: devices of the host belong to the host's kernel"
		run -125 --separate-stderr caisson run --rm --blkio-weight-device "$disk:100" "$IMAGE" true
		has "$stderr" '--blkio-weight-device is not possible'
		run -125 --separate-stderr caisson run --rm --cgroup-parent /some "$IMAGE" true
		has "$stderr" '--cgroup-parent is not possible'
		is "$(caisson ps -aq)" ''
		return
	fi
	run -0 --separate-stderr caisson run --rm --device-read-bps "$disk:1mb" --device-write-iops "$disk:30" "$IMAGE" \
		sh -c 'cd /sys/fs/cgroup; cat blkio/blkio.throttle.read_bps_device blkio/blkio.throttle.write_iops_device 2> /dev/null || cat io.max'
	matches "${lines[*]}" '[0-9]+:[0-9]+ (1048576 [0-9]+:[0-9]+ 30|rbps=1048576 wbps=max riops=max wiops=30)'
	caisson run -d --name below --cgroup-parent /caisson-e2e/group "$IMAGE" sleep 1000 > /dev/null
	grep -q ":/caisson-e2e/group/$(id_of below)$" "/proc/$(field below .State.Pid)/cgroup"
	caisson rm -f below > /dev/null
	find /sys/fs/cgroup -depth -type d -path '*/caisson-e2e*' -exec rmdir {} +
	run -125 --separate-stderr caisson run --rm --device-read-bps /dev/null:1mb "$IMAGE" true
	has "$stderr" '/dev/null is not a block device'
	run -125 --separate-stderr caisson run --rm --device-read-bps /dev/none:1mb "$IMAGE" true
	has "$stderr" 'stat /dev/none: No such file'
}

# What the cgroup of the container box says, in the words of its version.
seen() {
	caisson exec box sh -c 'cd /sys/fs/cgroup; for f in memory/memory.limit_in_bytes memory.max cpu/cpu.cfs_quota_us cpu.max pids/pids.max pids.max; do
		[ ! -f $f ] || echo $(cat $f); done' | tr '\n' ' ' | sed 's/ 100000 / /; s/ $//'
}

seen_is() { [ "$(seen)" = "$1" ]; }

@test "update: at once, when paused, and for later starts" {
	local before
	caisson run -d --name box --network none -m 64m "$IMAGE" sleep 1000 > /dev/null
	is "$(field box .HostConfig.MemorySwap)" 134217728
	before=$(date +%s.%N)
	run -0 caisson update -m 100m --cpus 0.9 --pids-limit 33 box
	is "$output" box
	has "$(caisson events --since "$before" --until "$(date +%s.%N)" --filter container=box)" 'container update '
	is "$(seen)" '104857600 90000 33'
	is "$(caisson inspect -f '{{with .HostConfig}}{{.Memory}} {{.NanoCpus}} {{.PidsLimit}}{{end}}' box)" '104857600 900000000 33'
	# all or nothing: what is refused changes neither the container nor what is known of it
	before=$(caisson inspect -f '{{json .HostConfig}}' box)
	run -1 --separate-stderr caisson update --pids-limit 5 -m 300m box
	has "$stderr" "Cannot update container $(id_of box): Memory limit should be smaller than already set memoryswap limit"
	run -1 --separate-stderr caisson update --pids-limit 5 --cpu-quota 5000 box
	has "$stderr" 'CPU Quota cannot be updated as NanoCPUs has already been set'
	run -1 --separate-stderr caisson update --pids-limit 5 --cpus 1000 box
	has "$stderr" 'range of CPUs'
	run -1 --separate-stderr caisson update box
	is "$stderr" 'caisson: you must provide one or more flags when using this command'
	run -1 --separate-stderr caisson update --pids-limit 44 nosuch box
	is "$stderr" 'caisson: No such container: nosuch'
	is "$output" box
	caisson update --pids-limit 33 box > /dev/null
	if [ "$MODE" = hyperv ]; then
		run -1 --separate-stderr caisson update --pids-limit 5 -m 4g --memory-swap -1 box
		has "$stderr" 'a memory limit of 4096 MiB needs a virtual machine of 8192 MiB, and it has 256 MiB: stop the container'
	else
		# less than it uses, and may not swap: the kernel refuses
		caisson exec -d box sh -c 'dd if=/dev/zero of=/dev/shm/f bs=1M count=40; sleep 1000'
		eventually 10 caisson exec box sh -c '[ $(stat -c %s /dev/shm/f) = 41943040 ]'
		if [ -d /sys/fs/cgroup/memory ]; then
			run -1 --separate-stderr caisson update --pids-limit 5 -m 8m box
			has "$stderr" 'memory.limit_in_bytes'
		fi
	fi
	is "$(seen)" '104857600 90000 33'
	is "$(caisson inspect -f '{{json .HostConfig}}' box)" "$before"
	caisson pause box > /dev/null
	caisson update --pids-limit -1 --cpus 0.8 --memory-reservation 50m box > /dev/null
	caisson unpause box > /dev/null
	eventually 10 seen_is '104857600 80000 max'
	caisson stop -t 0 box > /dev/null
	caisson update -m 600m --memory-swap 700m --restart on-failure:3 box > /dev/null
	caisson start box > /dev/null
	is "$(seen)" '629145600 80000 max'
	caisson update --cpuset-cpus 0 box > /dev/null
	is "$(caisson exec box nproc)" 1
	[ "$MODE" = process ] || is "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$(field box .State.Pid)/status")" 0
	is "$(field box .HostConfig.RestartPolicy.MaximumRetryCount)" 3
	caisson rm -f box > /dev/null
}

@test "stats: several containers, what they use, and that they come and go" {
	local address line
	caisson run -d --name busy "$IMAGE" sh -c 'dd if=/dev/zero of=/f bs=1M count=20 2> /dev/null; sync; sleep 1000 & while :; do :; done' > /dev/null
	caisson run -d --name idle "$IMAGE" sleep 1000 > /dev/null
	caisson create --name never "$IMAGE" true > /dev/null
	address=$(field idle .NetworkSettings.IPAddress)
	caisson exec busy ping -c 3 -i 0.1 -s 20000 "$address" > /dev/null
	run -0 caisson stats --no-stream
	matches "${lines[0]}" '^CONTAINER ID +NAME +CPU % +MEM USAGE / LIMIT +MEM % +NET I/O +BLOCK I/O +PIDS +HOST MEM'
	is "${#lines[@]}" 3
	# 60 kB each way; the other one received and sent the same
	run -0 caisson stats --no-stream --format '{{.Name}} {{.NetIO}} {{.PIDs}} {{.CPUPerc}} {{.MemUsage}}' busy idle
	matches "$output" 'busy [67][0-9](\.[0-9])?kB / [67][0-9](\.[0-9])?kB 2 [0-9.]+% [0-9.]+[KM]iB / [0-9.]+[GM]iB'
	matches "$output" 'idle [67][0-9](\.[0-9])?kB / [67][0-9](\.[0-9])?kB 1 [0-9.]+% [0-9.]+[KM]iB / [0-9.]+[GM]iB'
	line=$(caisson stats --no-stream --format '{{.CPUPerc}}' busy)
	[ "${line%.*}" -ge 1 ] || fail "a loop takes no time: $line"
	line=$(caisson stats --no-stream --format json -a never)
	is "$(python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["Name"], d["CPUPerc"], d["MemUsage"], d["PIDs"])' <<< "$line")" 'never -- -- / -- --'
	run -0 caisson stats --no-stream -a --no-trunc --format '{{.ID}} {{.Name}}'
	has "$output" "$(id_of never) never"
	has "$output" "$(id_of busy) busy"
	run -1 --separate-stderr caisson stats --no-stream nosuch
	is "$stderr" 'caisson: No such container: nosuch'
	# in hyperv mode the workload's writes are the VM's disk; in process mode they may still be the page cache's
	[ "$MODE" = process ] || matches "$(caisson stats --no-stream --format '{{.BlockIO}}' busy)" '/ 2[0-9](\.[0-9])?MB'
	# on a terminal the table is drawn anew
	run -130 "$BATS_TEST_DIRNAME/terminal.py" 24x150 'expect:\x1b[H' expect:idle 'expect:\x1b[H' expect:idle 'send:\x03' wait -- "$CAISSON" stats idle
	has "$output" 'MEM USAGE / LIMIT'
	caisson pause idle > /dev/null
	matches "$(caisson stats --no-stream --format '{{.PIDs}} {{.HostMem}}' idle)" '^1 [0-9.]+[KM]iB'
	timeout 60 "$CAISSON" stats --format '{{.Name}}' > "$E2E_DIR/stream" 3>&- &
	eventually 20 grep -q busy "$E2E_DIR/stream"
	caisson rm -f busy > /dev/null
	caisson run -d --name late --network none "$IMAGE" sleep 1000 > /dev/null
	eventually 20 grep -q late "$E2E_DIR/stream"
	eventually 20 sh -c "! tail -n 2 '$E2E_DIR/stream' | grep -q busy"
	kill $!
	caisson rm -f idle > /dev/null
	timeout 60 "$CAISSON" stats late > "$E2E_DIR/named" 3>&- &
	eventually 20 grep -q late "$E2E_DIR/named"
	caisson rm -f late never > /dev/null
	ends_with 0 $!
}

@test "bad values are errors that name them" {
	local option
	for option in -m=abc -m=1k --cpus=x --cpus=-1 --pids-limit=x --memory-swap=1m --shm-size=-1 --ulimit=nofile --ulimit=x=1 --oom-score-adj=5000 \
		--cpuset-cpus=5000 --cpu-rt-runtime=1 --cpu-quota=1 --memory-swappiness=101 --sysctl=kernel.panic=1 --blkio-weight=5; do
		run -125 --separate-stderr caisson run --rm "$option" "$IMAGE" true
		[ -n "$stderr" ] || fail "no message for $option"
		hasnt "$stderr" 'unknown flag'
	done
	run -125 --separate-stderr caisson run --rm -m abc "$IMAGE" true
	has "$stderr" abc
	is "$(caisson ps -aq)" ''
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
