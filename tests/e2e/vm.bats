# What only utility VMs have: how QEMU is confined, seen from outside and tried from inside, and what happens when a guest dies.
load lib

setup_file() {
	e2e_setup_file
	mkdir "$E2E_DIR/share"
	caisson run -d --name box -v "$E2E_DIR/share:/mnt" "$IMAGE" sleep 100000 > /dev/null
}

qemu() { helpers_of box qemu; }

@test "QEMU runs as a user of its own, without capabilities, under seccomp, with no new privileges" {
	local status
	status=$(cat "/proc/$(qemu)/status")
	matches "$status" $'Uid:\t([0-9]+)\t'
	[ "${BASH_REMATCH[1]}" -ge 100000 ] || fail "uid ${BASH_REMATCH[1]}"
	matches "$status" $'CapPrm:\t0+\n'
	matches "$status" $'CapEff:\t0+\n'
	matches "$status" $'NoNewPrivs:\t1'
	matches "$status" $'Seccomp:\t2'
	matches "$status" $'Groups:\t *\n'
}

@test "two VMs have two users" {
	caisson run -d --name second "$IMAGE" sleep 1000
	[ "$(stat -c %u "/proc/$(qemu)")" != "$(stat -c %u "/proc/$(helpers_of second qemu)")" ]
	caisson rm -f second
}

@test "QEMU has namespaces of its own and a read-only root without the host's files" {
	local pid ns
	pid=$(qemu)
	for ns in mnt net ipc uts; do
		[ "$(readlink "/proc/$pid/ns/$ns")" != "$(readlink "/proc/self/ns/$ns")" ] || fail "the host's $ns namespace"
	done
	[ ! -e "/proc/$pid/root/etc/shadow" ] || fail '/etc/shadow is there'
	[ ! -e "/proc/$pid/root/home" ] || fail '/home is there'
	[ ! -e "/proc/$pid/root/bin/sh" ] || fail 'a shell is there'
	run -0 awk '$5 == "/" { print $6 }' "/proc/$pid/mountinfo"
	matches "$output" '(^|,)ro(,|$)'
	run awk '$6 ~ /(^|,)rw(,|$)/ && $5 != "/proc" { print $5 }' "/proc/$pid/mountinfo"
	is "$output" ''
	run -0 nsenter -t "$pid" -n ls /sys/class/net || true
	run -0 sh -c "tail -n +3 /proc/$pid/net/dev"
	[ "${#lines[@]}" -le 1 ] || fail "interfaces: $output"
}

@test "QEMU listens nowhere, and what it has open is its own" {
	local pid fd
	pid=$(qemu)
	run sh -c "ss -lnpx; ss -lntup" # of the host's namespace
	hasnt "$output" "pid=$pid,"
	run -0 sh -c "ls -l /proc/$pid/fd | awk '{print \$NF}' | grep '^/' | sort -u"
	hasnt "$output" /etc/
	hasnt "$output" db.sqlite
	hasnt "$output" /home
}

@test "the VM's files are for root only" {
	# the hosts files are for dnsmasq too, who gets into RUN/networks/ID by a mount
	is "$(stat -c %a "$CAISSON_RUN/networks/"* | sort -u)" 700
	run -0 find "$CAISSON_RUN" "$CAISSON_ROOT/containers" -path '*/hosts' -prune -o \( -type f -o -type s \) -perm /077 -print
	is "$output" ''
}

@test "ps on the host tells whose the VM's processes are" {
	run -0 sh -c "tr '\\0' ' ' < /proc/$(qemu)/cmdline"
	has "$output" caisson-box
	for pid in $(helpers_of box virtiofsd); do
		run -0 sh -c "tr '\\0' ' ' < /proc/$pid/cmdline"
		has "$output" caisson-box
	done
	run -0 sh -c "tr '\\0' ' ' < /proc/$(monitor_of box)/cmdline"
	has "$output" box
}

@test "virtiofsd is confined to the shared directory" {
	local pid
	for pid in $(helpers_of box virtiofsd); do
		[ ! -e "/proc/$pid/root/etc/shadow" ] || fail "virtiofsd $pid sees the host's /etc/shadow"
	done
	ln -s /etc "$E2E_DIR/share/out"
	ln -s ../../../../../../../../etc/hostname "$E2E_DIR/share/up"
	run caisson exec box cat /mnt/out/machine-id /mnt/up
	hasnt "$output" "$(cat /etc/machine-id 2> /dev/null || echo none)"
	rm "$E2E_DIR/share/out" "$E2E_DIR/share/up"
}

@test "nothing of the container is mounted or running on the host" {
	hasnt "$(cat /proc/self/mountinfo)" "$E2E_DIR"
	# in all mount namespaces but those of QEMU and virtiofsd, whose roots are made of binds
	local pid
	for pid in $(grep -ls "$E2E_DIR" /proc/[0-9]*/mountinfo | cut -d / -f 3); do
		case $(readlink "/proc/$pid/exe") in
		*qemu* | *virtiofsd* | *dnsmasq*) ;;
		*) fail "$pid $(tr '\0' ' ' < /proc/$pid/cmdline)" ;;
		esac
	done
}

@test "the devices inside: no host file can be reached from the guest" {
	run -0 caisson exec box cat /proc/partitions
	hasnt "$output" sda
	run -0 caisson exec box sh -c 'ls /sys/class/net; cat /proc/cmdline'
	is "${lines[0]} ${lines[1]}" 'eth0 lo'
}

@test "no part of the control port can be opened by the workload" {
	run caisson exec box sh -c 'ls /dev/vport* /dev/virtio-ports 2> /dev/null; for n in 0 1 2 3; do mknod /tmp/p$n c 10 $n 2> /dev/null; done; ls /sys/class/virtio-ports'
	run caisson run --rm --privileged "$IMAGE" sh -c 'for p in /dev/vport*; do echo x > $p && echo opened; done'
	hasnt "$output" opened
}

@test "a guest panic: exited within 2 s, the reason in inspect, the console in logs --vm" {
	caisson run -d --name panic --privileged "$IMAGE" sleep 1000
	"$CAISSON" exec panic sh -c 'echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger' > /dev/null 2>&1 &
	local client=$!
	eventually 10 status_is panic exited
	matches "$(field panic .State.Error)" 'panic'
	run -0 caisson logs --vm panic
	has "$output" 'Kernel panic'
	wait $client || true
	caisson rm panic
}

@test "a guest that powers off or reboots ends the container" {
	local how
	for how in o b; do
		caisson run -d --name off --privileged "$IMAGE" sleep 1000
		"$CAISSON" exec off sh -c "echo 1 > /proc/sys/kernel/sysrq; echo $how > /proc/sysrq-trigger" > /dev/null 2>&1 &
		local client=$!
		eventually 20 status_is off exited
		[ -n "$(field off .State.Error)" ]
		wait $client || true
		caisson rm off
	done
}

@test "an agent that is silent: exited after 5 s of the VM's own time" {
	caisson pull -q "$IMAGES/debian" # it has chrt
	caisson run -d --name silent --privileged "$IMAGES/debian" sleep 1000
	# all CPUs of the guest busy at the highest real-time priority: nothing else runs there any more
	caisson exec -d silent sh -c 'echo -1 > /proc/sys/kernel/sched_rt_runtime_us; for i in 1 2 3 4; do chrt -f 99 sh -c "while :; do :; done" & done; sleep 1000'
	eventually 60 status_is silent exited
	[ -n "$(field silent .State.Error)" ]
	caisson rm silent
}

@test "a stopped QEMU is not taken for a silent agent" {
	local pid
	pid=$(qemu)
	kill -STOP "$pid"
	sleep 8
	status_is box running
	kill -CONT "$pid"
	run -0 timeout 20 "$CAISSON" exec box echo alive
	is "$output" alive
}

@test "with accel=tcg nothing is said; info and doctor tell what emulation is" {
	run -0 --separate-stderr caisson run --rm "$IMAGE" true
	is "$stderr" ''
	run -0 --separate-stderr caisson info
	has "$output" 'no hardware boundary'
}

@test "accel=auto: one boot under KVM, its verdict kept, one line if it is emulation" {
	printf 'isolation = hyperv\naccel = auto\n' > "$BATS_TEST_TMPDIR/conf"
	run -0 --separate-stderr caisson --config "$BATS_TEST_TMPDIR/conf" run --rm "$IMAGE" echo ok
	is "$output" ok
	local first=$stderr
	run -0 --separate-stderr caisson --config "$BATS_TEST_TMPDIR/conf" info --format '{{.Acceleration}}'
	if [ "$output" = tcg ]; then
		is "$(wc -l <<< "$first")" 1
		matches "$first" 'emulation|TCG|tcg'
	else
		is "$first" ''
	fi
}

@test "the writable layer survives stop and start" {
	caisson create --name twice "$IMAGE" sh -c 'cat /n 2> /dev/null; echo x >> /n'
	caisson start -a twice
	run -0 caisson start -a twice
	is "$output" x
	caisson rm twice
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}

@test "kernel use: a file of the user's is what boots, and nothing else when it has gone" {
	local own=$E2E_DIR/own version
	version=$(caisson info --format '{{.GuestKernel}}')
	mkdir "$own"
	cp "$CAISSON_ROOT/kernel/$version/vmlinuz" "$own/mine"
	cp -r "$CAISSON_ROOT/kernel/$version/modules" "$own/modules"
	caisson kernel use "$own/mine"
	run -0 --separate-stderr caisson run --rm --fresh-boot --network none "$IMAGE" cat /proc/version
	has "$output" "${version%%-*}"
	[ "$(ls "$own")" = $'mine\nmodules' ] || fail "written beside the user's kernel: $(ls "$own")"
	rm "$own/mine"
	run -125 --separate-stderr caisson run --rm --fresh-boot --network none "$IMAGE" true
	has "$stderr" "guest kernel $own/mine: No such file"
	caisson kernel use auto
	is "$(caisson info --format '{{.GuestKernel}}')" "$version"
}
