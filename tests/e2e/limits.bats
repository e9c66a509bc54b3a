# Memory, CPUs and processes: what is asked for is what the workload gets, in both modes.
load lib

memory_limit='cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2> /dev/null || cat /sys/fs/cgroup/memory.max'

@test "-m is exactly what the cgroup allows" {
	run -0 caisson run --rm -m 100m "$IMAGE" sh -c "$memory_limit"
	is "$output" 104857600
}

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

@test "what fits into -m can be used" {
	run -0 --separate-stderr caisson run --rm -m 200m --tmpfs /t:size=190m "$IMAGE" sh -c 'dd if=/dev/zero of=/t/f bs=1M count=150 2> /dev/null && ls -l /t/f | wc -l'
	is "$output" 1
}

@test "--cpus caps the time" {
	# half a CPU: busy for 2 s of wall time gets about 1 s
	run -0 --separate-stderr caisson run --rm --cpus 0.5 "$IMAGE" sh -c 'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2> /dev/null || cat /sys/fs/cgroup/cpu.max'
	is "$(tr '\n' ' ' <<< "$output" | sed 's/ $//')" '50000 100000'
	run -125 --separate-stderr caisson run --rm --cpus 1000 "$IMAGE" true
	matches "$stderr" '[Cc][Pp][Uu]'
}

@test "--cpus and the number of CPUs seen" {
	skip_in process "nproc shows the host's CPUs, as with docker"
	run -0 --separate-stderr caisson run --rm --cpus 1 "$IMAGE" nproc
	is "$output" 1
	run -0 --separate-stderr caisson run --rm "$IMAGE" nproc
	is "$output" "$(($(nproc) < 2 ? 1 : 2))"
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

@test "bad values are errors that name them" {
	local option
	for option in -m=abc -m=1k --cpus=x --cpus=-1 --pids-limit=x --memory-swap=1m --shm-size=-1 --ulimit=nofile --ulimit=x=1 --oom-score-adj=5000; do
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
