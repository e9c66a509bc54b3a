# What a container's processes see and may do: the same in both modes, as the same code sets it up.
load lib

@test "namespaces: processes, mounts, hostname, IPC and network are the container's own" {
	box --hostname sand
	run -0 in_box ps
	has "$output" 'sleep 100000'
	[ "${#lines[@]}" -le 4 ] || fail "$output"
	run -0 in_box hostname
	is "$output" sand
	run -0 in_box sh -c 'cat /proc/1/comm; ls /sys/class/net'
	has "$output" sleep
	has "$output" lo
	hasnt "$output" caisson0
	[ "$MODE" = hyperv ] || for ns in pid mnt uts ipc net cgroup; do
		run -0 in_box readlink /proc/self/ns/$ns
		[ "$output" != "$(readlink /proc/self/ns/$ns)" ] || [ $ns = cgroup ] || fail "the host's $ns namespace"
	done
}

@test "loopback is up" {
	box
	run -0 in_box sh -c 'ip -o addr show lo; (echo hello | nc -l -p 4000 127.0.0.1 > /dev/null &) ; sleep 0.5; nc 127.0.0.1 4000 < /dev/null'
	has "$output" 127.0.0.1/8
	has "$output" hello
}

@test "the root is what docker mounts: /proc, /sys, /dev and what is in it" {
	box
	run -0 in_box cat /proc/mounts
	matches "$output" $'overlay / overlay rw'
	matches "$output" $'proc /proc proc rw,nosuid,nodev,noexec'
	matches "$output" $'sysfs /sys sysfs ro,nosuid,nodev,noexec'
	matches "$output" $'tmpfs /dev tmpfs rw,nosuid'
	matches "$output" $'devpts /dev/pts devpts rw,nosuid,noexec'
	matches "$output" $' /dev/mqueue mqueue rw,nosuid,nodev,noexec'
	matches "$output" $' /dev/shm tmpfs rw,nosuid,nodev,noexec[^ ]*size=65536k'
	matches "$output" $' /sys/fs/cgroup'
	run -0 in_box sh -c 'cd /dev; ls; for d in null zero full random urandom tty; do stat -c "%n %F %t:%T %a" $d; done; for l in fd stdin stdout stderr ptmx; do readlink $l; done'
	for name in core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero; do
		has " ${output//$'\n'/ } " " $name "
	done
	has "$output" 'null character special file 1:3 666'
	has "$output" 'full character special file 1:7 666'
	has "$output" '/proc/self/fd/0'
	hasnt "$output" vda
	hasnt "$output" kmsg
	run -0 in_box sh -c 'echo x > /dev/null && head -c 3 /dev/zero | wc -c && head -c 4 /dev/urandom | wc -c'
	is "$output" $'3\n4'
}

@test "masked and read-only paths of /proc and /sys" {
	box
	run -0 in_box sh -c 'for p in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug; do [ -e $p ] && head -c 10 $p | wc -c; done; ls /proc/acpi /sys/firmware /proc/scsi 2> /dev/null | grep -v : | wc -w'
	matches "$output" '^(0\s*)*$'
	for path in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/0/x /proc/bus/x; do
		run in_box sh -c "echo x > $path"
		[ "$status" -ne 0 ] || fail "$path can be written"
	done
	run -1 --separate-stderr in_box mkdir /sys/fs/cgroup/x
	run -1 in_box sh -c 'echo 1 > /proc/sys/vm/drop_caches'
}

@test "the 14 default capabilities, for root; none effective for others" {
	box
	run -0 in_box grep Cap /proc/self/status
	has "$output" $'CapPrm:\t00000000a80425fb'
	has "$output" $'CapEff:\t00000000a80425fb'
	has "$output" $'CapBnd:\t00000000a80425fb'
	has "$output" $'CapInh:\t0000000000000000'
	run -0 caisson exec -u app box grep Cap /proc/self/status
	has "$output" $'CapEff:\t0000000000000000'
	has "$output" $'CapBnd:\t00000000a80425fb'
}

@test "--cap-drop and --cap-add, single and ALL" {
	run -0 caisson run --rm --cap-drop ALL --cap-add chown --cap-add CAP_KILL "$IMAGE" grep CapEff /proc/self/status
	is "$output" $'CapEff:\t0000000000000021'
	run -0 caisson run --rm --cap-drop net_raw "$IMAGE" grep CapBnd /proc/self/status
	is "$output" $'CapBnd:\t00000000a80405fb'
	run -1 caisson run --rm --cap-drop CHOWN "$IMAGE" chown app /tmp
	run -125 --separate-stderr caisson run --rm --cap-add NOPE "$IMAGE" true
	has "$stderr" NOPE
}

@test "no devices can be made or used, nothing mounted" {
	box
	run in_box sh -c 'mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk'
	[ "$status" -ne 0 ] || fail "a block device was read"
	run in_box mount -t tmpfs none /tmp
	[ "$status" -ne 0 ] || fail "something was mounted"
}

@test "the default seccomp profile holds" {
	box
	run -0 in_box grep Seccomp: /proc/self/status
	is "$output" $'Seccomp:\t2'
	run in_box unshare -U true
	[ "$status" -ne 0 ] || fail "a user namespace was made"
	run in_box unshare -m true
	[ "$status" -ne 0 ] || fail "a mount namespace was made"
}

@test "--security-opt seccomp=unconfined, seccomp=FILE and no-new-privileges" {
	run -0 caisson run --rm --security-opt seccomp=unconfined "$IMAGE" grep Seccomp: /proc/self/status
	is "$output" $'Seccomp:\t0'
	cat > "$BATS_TEST_TMPDIR/profile.json" <<-'P'
		{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
		 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}
	P
	run -1 --separate-stderr caisson run --rm --security-opt "seccomp=$BATS_TEST_TMPDIR/profile.json" "$IMAGE" mkdir /tmp/x
	has "$stderr" 'No space left on device'
	run -0 caisson run --rm --security-opt no-new-privileges "$IMAGE" grep NoNewPrivs /proc/self/status
	is "$output" $'NoNewPrivs:\t1'
	echo '{broken' > "$BATS_TEST_TMPDIR/broken.json"
	run -125 --separate-stderr caisson run --rm --security-opt "seccomp=$BATS_TEST_TMPDIR/broken.json" "$IMAGE" true
	has "$stderr" seccomp
	run -125 --separate-stderr caisson run --rm --security-opt nonsense=1 "$IMAGE" true
	has "$stderr" nonsense
}

@test "--privileged: all capabilities, no seccomp, nothing masked" {
	run -0 caisson run --rm --privileged "$IMAGE" sh -c 'grep -E "CapEff|Seccomp:" /proc/self/status; mount -t tmpfs none /tmp && echo mounted; grep " /sys sysfs" /proc/mounts; ls /dev/null'
	has "$output" $'Seccomp:\t0'
	has "$output" mounted
	matches "$output" '/sys sysfs rw'
	hasnt "$output" $'CapEff:\t00000000a80425fb'
}

@test "--user: names and numbers, groups, resolved inside the root" {
	run -0 caisson run --rm --user app "$IMAGE" id
	has "$output" 'uid=1000(app) gid=1000(app)'
	has "$output" 'extra'
	run -0 caisson run --rm --user 4321:1234 "$IMAGE" sh -c 'id -u; id -g'
	is "$output" $'4321\n1234'
	run -0 caisson run --rm --user app:extra "$IMAGE" sh -c 'id -u; id -g'
	is "$output" $'1000\n1234'
	run -0 caisson run --rm --user 0 --group-add extra "$IMAGE" id -G
	has " $output " ' 1234 '
	run --separate-stderr caisson run --rm --user nosuch "$IMAGE" true
	[ "$status" -ge 125 ] || fail "status $status"
	has "$stderr" nosuch
}

@test "--read-only, --tmpfs" {
	run --separate-stderr caisson run --rm --read-only --tmpfs /scratch:size=1m,mode=1777 --tmpfs /run "$IMAGE" \
		sh -c 'touch /x && echo wrote; touch /scratch/x /run/x && echo ok; dd if=/dev/zero of=/scratch/big bs=1M count=3 2> /dev/null || echo full; stat -c %a /scratch; touch /dev/shm/x && echo shm'
	is "$output" $'ok\nfull\n1777\nshm'
	has "$stderr" 'Read-only file system'
}

@test "the files of the network: hosts, hostname, resolv.conf" {
	run -0 caisson run --rm --hostname named "$IMAGE" sh -c 'cat /etc/hostname; grep -c localhost /etc/hosts; [ -f /etc/resolv.conf ] && echo there'
	is "${lines[0]}" named
	has "$output" there
}

@test "--network=none has loopback only; another network that is not there is an error" {
	run -0 caisson run --rm --network=none "$IMAGE" ls /sys/class/net
	is "$output" lo
	run -125 --separate-stderr caisson run --rm --network=nosuch "$IMAGE" true
	has "$stderr" nosuch
}

@test "--network=host is the host's network in process mode, an error in hyperv" {
	if [ "$MODE" = hyperv ]; then
		run -125 --separate-stderr caisson run --rm --network=host "$IMAGE" true
		has "$stderr" host
		return
	fi
	run -0 caisson run --rm --network=host "$IMAGE" readlink /proc/self/ns/net
	is "$output" "$(readlink /proc/self/ns/net)"
}

@test "--sysctl of the container's namespaces" {
	run -0 caisson run --rm --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=9000 "$IMAGE" cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax
	is "$output" $'1\n9000'
	run --separate-stderr caisson run --rm --sysctl vm.swappiness=1 "$IMAGE" true
	[ "$status" -eq 125 ] || [ "$MODE" = hyperv ] || fail "a sysctl of the whole host was taken"
}

@test "--ulimit lowers a limit; one that cannot be raised is an error" {
	run -0 caisson run --rm --ulimit nofile=64:128 --ulimit core=0 "$IMAGE" sh -c 'ulimit -Sn; ulimit -Hn; ulimit -c'
	is "$output" $'64\n128\n0'
	skip_in hyperv "the guest's kernel lets its own root raise limits"
	if ! (ulimit -Hn unlimited) 2> /dev/null && ! (ulimit -Hn $(($(ulimit -Hn) + 1))) 2> /dev/null; then
		run --separate-stderr caisson run --rm --ulimit nofile=$(($(ulimit -Hn) + 1)) "$IMAGE" true
		[ "$status" -ge 125 ] || fail "status $status"
		has "$stderr" nofile
	fi
}

@test "setuid programs and file capabilities work, also on the image's files" {
	run -0 --separate-stderr caisson run --rm --user app "$IMAGES/layers" sh -c 'grep CapEff /proc/self/status; /a/busybox grep CapEff /proc/self/status'
	is "${lines[0]}" $'CapEff:\t0000000000000000'
	is "${lines[1]}" $'CapEff:\t0000000000002000'
}

@test "--shm-size" {
	run -0 caisson run --rm --shm-size 8m "$IMAGE" df -k /dev/shm
	has "$output" ' 8192 '
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
