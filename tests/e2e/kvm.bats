# KVM as far as it goes without KVM: what QEMU is asked for, the probe that tries whether a guest boots with it, and what happens when none does. QEMU is
# fake-qemu.c; /dev/kvm is a device that opens. What KVM itself would do is not tested.
load lib

setup_file() {
	e2e_setup_file
	rm "$CAISSON_ROOT/template" "$CAISSON_ROOT/cache"
	caisson run --rm --network=none "$IMAGE" true > /dev/null 2>&1 # leaves the true QEMU's root and the clock's speed
	export TRUE_ROOT DEV
	TRUE_ROOT=$(echo "$CAISSON_ROOT/vmm-root/"*)
	local mode khz
	khz=$(cut -d ' ' -f 2 "$CAISSON_RUN/tsc")
	for mode in WORKS HANGS DIES REFUSES FADES; do
		mkdir "$E2E_DIR/$mode"
		gcc -static -O1 -DMODE=$mode -DTSC_KHZ="${khz}ULL" -o "$E2E_DIR/$mode/qemu-system-x86_64" "$BATS_TEST_DIRNAME/fake-qemu.c"
	done
	cat > "$E2E_DIR/with-kvm" <<- 'END'
		#!/bin/sh
		# a /dev of its own, with what a container needs, and as kvm a device that opens
		set -e
		mount -t tmpfs tmpfs /dev
		for n in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 kvm:1:3; do
			mknod -m 666 "/dev/${n%%:*}" c $(echo "${n#*:}" | tr : ' ')
		done
		mkdir /dev/net /dev/pts /dev/shm
		mknod /dev/net/tun c 10 200
		ln -s /proc/self/fd /dev/fd
		exec "$@"
	END
	chmod +x "$E2E_DIR/with-kvm"
	for mode in auto kvm tcg; do
		printf 'isolation = hyperv\naccel = %s\ntemplate-linger = 5\nimage-templates = never\n' $mode > "$E2E_DIR/conf.$mode"
	done
}

setup() { requires gcc unshare; }

teardown() {
	remove_all
	assert_nothing_left
}

# on MODE ACCEL COMMAND...: with KVM that does so and this configuration
on() {
	local path=$E2E_DIR/$1:$PATH conf=$E2E_DIR/conf.$2
	shift 2
	PATH=$path CAISSON_CONFIG=$conf unshare -m --propagation private "$E2E_DIR/with-kvm" "$CAISSON" "$@"
}

# Each fake has a root to run in as QEMU has, made at its first use; the true one is put beside it.
put_true() { # put_true MODE
	local root
	on "$1" auto template build > /dev/null 2>&1 || true
	for root in "$CAISSON_ROOT/vmm-root/"*; do
		[ "$root" != "$TRUE_ROOT" ] && [ ! -e "$root/usr/bin/qemu-system-x86_64.true" ] || continue
		cp -an "$TRUE_ROOT/." "$root/" 2> /dev/null
		cp "$TRUE_ROOT/usr/bin/qemu-system-x86_64" "$root/usr/bin/qemu-system-x86_64.true"
	done
	rm -f "$CAISSON_ROOT/cache/"accel.[0-9a-f]* "$CAISSON_RUN/template/"*.failed
	caisson template rm --all > /dev/null
}

argument() { grep -qx "fake-qemu: $1" <<< "$output" || fail "QEMU was not given $1" "$output"; }
no_argument() { ! grep -q "fake-qemu: .*$1" <<< "$output" || fail "QEMU was given $1" "$output"; }

@test "KVM works: no line, the verdict is kept, and QEMU is asked for KVM and the host's CPU" {
	put_true WORKS
	run -0 --separate-stderr on WORKS auto info --format '{{.Acceleration}}'
	is "$output" ''
	run -0 --separate-stderr on WORKS auto run --name box --fresh-boot "$IMAGE" echo booted
	is "$output" booted
	is "$stderr" ''
	matches "$(cat "$CAISSON_ROOT/cache/"accel.[0-9a-f]*)" ' kvm$'
	run -0 --separate-stderr on WORKS auto info --format '{{.Acceleration}}'
	is "$output" kvm
	run -0 --separate-stderr on WORKS auto info
	has "$output" 'KVM: a hardware boundary'
	run -0 --separate-stderr on WORKS auto doctor
	has "$output" '/dev/kvm opens'
	run -0 caisson logs --vm box
	argument kvm
	argument host
	argument '/dev/kvm opens'
	argument 'microvm,.*,pic=on,.*'
	argument 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'
	no_argument 'tsc_early_khz'
	no_argument 'mitigations=off'
	no_argument '-incoming'
}

@test "KVM works: its templates are not emulation's, and clones are asked for KVM too" {
	put_true WORKS
	run -0 --separate-stderr on WORKS auto run -d --name first "$IMAGE" sleep 1000
	has "$stderr" 'making the template'
	hasnt "$stderr" 'emulation'
	run -0 --separate-stderr on WORKS auto run -d --name second "$IMAGE" sleep 1000
	is "$stderr" ''
	run -0 caisson logs --vm second
	argument kvm
	argument defer
	run -0 --separate-stderr on WORKS auto exec second echo alive
	is "$output" alive
	run -0 --separate-stderr on WORKS tcg run -d --name third "$IMAGE" sleep 1000
	has "$stderr" 'making the template'
	run -0 caisson logs --vm third
	argument tcg,tb-size=48
	no_argument '/dev/kvm'
	run -0 caisson template ls --format '{{.Name}} {{.Accel}}'
	is "$(sed 's/^[0-9a-f]*-\([a-z]*\)-.* /\1 /' <<< "$output" | sort)" $'kvm kvm\ntcg tcg'
	is "$(cut -d - -f 1 <<< "$output" | sort -u | wc -l)" 2 # generations
}

emulates() { # emulates MODE: emulation with a line; the probe is not made again; and accel = kvm is an error before anything is made
	put_true "$1"
	run -0 --separate-stderr on "$1" auto run --rm --fresh-boot "$IMAGE" echo booted
	is "$output" booted
	is "$stderr" '/dev/kvm does not boot a guest: using emulation, which is slow and no security boundary (set accel=tcg to silence this)'
	matches "$(cat "$CAISSON_ROOT/cache/"accel.[0-9a-f]*)" ' tcg$'
	local made
	made=$(stat -c '%i %y' "$CAISSON_ROOT/cache/"accel.[0-9a-f]*)
	run -0 --separate-stderr on "$1" auto info --format '{{.Acceleration}}'
	is "$output" tcg
	run -125 --separate-stderr on "$1" kvm run "$IMAGE" true
	has "$stderr" '/dev/kvm opens but a guest does not boot with it within 3 s: set accel=tcg or accel=auto'
	is "$(stat -c '%i %y' "$CAISSON_ROOT/cache/"accel.[0-9a-f]*)" "$made"
	is "$(caisson ps -aq)" ''
	run -0 --separate-stderr on "$1" tcg run --rm --fresh-boot "$IMAGE" echo booted
	is "$stderr" ''
}

@test "a guest hangs under KVM: emulation, with one line" { emulates HANGS; }

@test "QEMU dies with KVM: emulation, with one line" { emulates DIES; }

@test "QEMU refuses KVM: emulation, with one line; what it said can be traced" {
	emulates REFUSES
	rm "$CAISSON_ROOT/cache/"accel.[0-9a-f]*
	run -0 --separate-stderr env CAISSON_DEBUG=vm PATH="$E2E_DIR/REFUSES:$PATH" CAISSON_CONFIG="$E2E_DIR/conf.auto" \
		unshare -m --propagation private "$E2E_DIR/with-kvm" "$CAISSON" run --rm --fresh-boot "$IMAGE" true
	has "$stderr" 'probe: QEMU said: qemu-system-x86_64: failed to initialize kvm: Device or resource busy'
}

@test "another QEMU is probed anew" {
	put_true WORKS
	put_true DIES
	run -0 --separate-stderr on DIES auto run --rm --fresh-boot "$IMAGE" true
	has "$stderr" 'using emulation'
	run -0 --separate-stderr on WORKS auto run --rm --fresh-boot "$IMAGE" true
	is "$stderr" ''
	matches "$(cat "$CAISSON_ROOT/cache/"accel.[0-9a-f]*)" ' kvm$'
}

@test "many starts at once: one probe, one verdict" {
	put_true DIES
	local i pids=
	for i in 1 2 3 4; do
		on DIES auto run --rm --fresh-boot "$IMAGE" echo booted > "$BATS_TEST_TMPDIR/out.$i" 2> "$BATS_TEST_TMPDIR/err.$i" &
		pids+=" $!"
	done
	for i in $pids; do ends_with 0 "$i"; done
	is "$(cat "$BATS_TEST_TMPDIR"/out.* | grep -c booted)" 4
	is "$(grep -l 'using emulation' "$BATS_TEST_TMPDIR"/err.* | wc -l)" 4
	is "$(wc -l < "$CAISSON_ROOT/cache/"accel.[0-9a-f]*)" 1
}

@test "KVM that is gone after the probe: an error that says what QEMU said" {
	put_true FADES
	run -125 --separate-stderr on FADES auto run --name box --fresh-boot "$IMAGE" true
	has "$stderr" 'failed to initialize kvm: Device or resource busy'
	is "$(field box .State.Status)" created
}
