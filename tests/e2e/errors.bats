# Errors name the thing, have docker's exit code, and leave nothing behind.
load lib

teardown() {
	is "$(caisson ps -aq)" ''
	assert_nothing_left
}

@test "a command that is not there is 127, one that cannot be run is 126" {
	run -127 --separate-stderr caisson run --rm "$IMAGE" no-such-program
	has "$stderr" 'no-such-program'
	run -127 --separate-stderr caisson run --rm "$IMAGE" /no/such/program
	has "$stderr" '/no/such/program'
	run -126 --separate-stderr caisson run --rm "$IMAGE" /etc/not-executable
	has "$stderr" 'ermission denied'
}

@test "a command that is not there, without --rm: the container stays, created" {
	run -127 --separate-stderr caisson run --name odd "$IMAGE" no-such-program
	status_is odd created
	caisson rm odd
}

@test "an image that is not there" {
	run -125 --separate-stderr caisson run --rm "$E2E_REGISTRY/caisson-test/nosuch" true
	has "$stderr" "caisson-test/nosuch"
	run -125 --separate-stderr caisson run --rm --pull=never local/nosuch true
	has "$stderr" 'local/nosuch'
}

@test "a registry that is not there" {
	run -125 --separate-stderr caisson run --rm 127.0.0.1:1/nosuch true
	has "$stderr" '127.0.0.1:1'
}

@test "a reference that is none" {
	for ref in UPPER '' 'a b' 'x:' 'x@sha256:12' ':tag'; do
		run -125 --separate-stderr caisson run --rm "$ref" true
		has "$stderr" 'invalid reference format'
	done
}

@test "a user that is not in the image" {
	run --separate-stderr caisson run --rm -u nosuch "$IMAGE" true
	[ "$status" -ge 125 ] || fail "status $status"
	has "$stderr" nosuch
	run --separate-stderr caisson run --rm -u root:nogroup9 "$IMAGE" true
	has "$stderr" nogroup9
}

@test "an unknown flag, command, value" {
	run -125 --separate-stderr caisson run --nosuch "$IMAGE" true
	has "$stderr" 'unknown flag: --nosuch'
	run -125 --separate-stderr caisson run -Z "$IMAGE" true
	has "$stderr" "unknown shorthand flag: 'Z'"
	run --separate-stderr caisson nosuch
	[ "$status" -ne 0 ]
	has "$stderr" nosuch
	run -125 --separate-stderr caisson run --isolation=maybe "$IMAGE" true
	has "$stderr" "invalid isolation (maybe): use 'default', 'process' or 'hyperv'"
	run -1 --separate-stderr caisson run
	has "$stderr" 'requires at least 1 argument'
	run -125 --separate-stderr caisson run --stop-signal NOPE "$IMAGE" true
	has "$stderr" NOPE
	run -125 --separate-stderr caisson run -w relative "$IMAGE" true
	has "$stderr" relative
	run -125 --separate-stderr caisson run --hostname 'bad host' "$IMAGE" true
	has "$stderr" 'bad host'
}

@test "no tty for -t, no container for anything" {
	for verb in start stop kill rm logs attach wait top inspect; do
		run -1 --separate-stderr caisson $verb nosuch
		has "$stderr" nosuch
	done
	run -1 --separate-stderr caisson exec nosuch true
	has "$stderr" nosuch
}

@test "a wrong configuration file is an error that names file and line" {
	printf '# comment\n\nisolation = nonsense\n' > "$BATS_TEST_TMPDIR/conf"
	run --separate-stderr caisson --config "$BATS_TEST_TMPDIR/conf" ps
	[ "$status" -ne 0 ]
	has "$stderr" "$BATS_TEST_TMPDIR/conf:3"
	has "$stderr" nonsense
	printf 'colour = blue\n' > "$BATS_TEST_TMPDIR/conf"
	run --separate-stderr caisson --config "$BATS_TEST_TMPDIR/conf" ps
	[ "$status" -ne 0 ]
	has "$stderr" colour
	run --separate-stderr caisson --config "$BATS_TEST_TMPDIR/nosuch" ps
	[ "$status" -ne 0 ]
	has "$stderr" nosuch
}

@test "no right to the directories" {
	run --separate-stderr setpriv --reuid 65534 --clear-groups "$CAISSON" ps
	[ "$status" -ne 0 ]
	has "$stderr" ermission
}

@test "hyperv on a host that lacks something fails before anything is made, with the remedy" {
	skip_in process "process mode needs none of it"
	local empty=$BATS_TEST_TMPDIR/path
	mkdir "$empty"
	mkdir "$BATS_TEST_TMPDIR/root"
	# no guest kernel
	caisson --root "$BATS_TEST_TMPDIR/root" pull -q "$IMAGE"
	run -125 --separate-stderr caisson --root "$BATS_TEST_TMPDIR/root" run --rm "$IMAGE" true
	has "$stderr" 'kernel update'
	run -0 caisson --root "$BATS_TEST_TMPDIR/root" ps -aq
	is "$output" ''
	printf 'isolation = hyperv\naccel = tcg\nkernel = /no/such/kernel\n' > "$BATS_TEST_TMPDIR/conf"
	run -125 --separate-stderr caisson --config "$BATS_TEST_TMPDIR/conf" run --rm "$IMAGE" true
	has "$stderr" /no/such/kernel
}

@test "no QEMU, no mkfs.erofs, no virtiofsd: each named, with its package" {
	skip_in process "process mode needs none of it"
	requires unshare
	local tool
	for tool in $(command -v qemu-system-x86_64 mkfs.erofs mkfs.ext4) $(ls /usr/lib/qemu/virtiofsd /usr/libexec/virtiofsd 2> /dev/null | head -n 1); do
		# in a mount namespace of its own the program is hidden by /dev/null
		run --separate-stderr unshare -m --propagation private sh -c "mount --bind /dev/null '$tool' && exec '$CAISSON' run --rm -v '$BATS_TEST_TMPDIR:/mnt' '$IMAGE' true"
		is "$status" 125
		has "$stderr" "$(basename "$tool" | cut -d - -f 1)"
	done
	run -0 caisson ps -aq
	is "$output" ''
}

@test "accel=kvm where KVM does not boot a guest is an error, auto goes on with a line" {
	skip_in process "there is no acceleration"
	printf 'isolation = hyperv\naccel = auto\n' > "$BATS_TEST_TMPDIR/conf"
	run -0 --separate-stderr caisson --config "$BATS_TEST_TMPDIR/conf" run --rm "$IMAGE" echo booted
	is "$output" booted
	local line=$stderr
	run -0 --separate-stderr caisson --config "$BATS_TEST_TMPDIR/conf" info --format '{{.Acceleration}}'
	if [ "$output" = tcg ]; then
		has "$line" 'using emulation'
		is "$(printf '%s\n' "$line" | wc -l)" 1
		printf 'isolation = hyperv\naccel = kvm\n' > "$BATS_TEST_TMPDIR/conf"
		run -125 --separate-stderr caisson --config "$BATS_TEST_TMPDIR/conf" run --rm "$IMAGE" true
		matches "$stderr" '[Kk][Vv][Mm]'
	fi
}

@test "no /dev/kvm: accel=kvm is an error before anything is made, auto goes on with a line, tcg without one" {
	skip_in process "there is no acceleration"
	requires unshare
	# a /dev of its own, with what a container needs and no kvm
	local dev='mount -t tmpfs tmpfs /dev && for n in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9; do
		set -- $(echo $n | tr : " "); mknod -m 666 /dev/$1 c $2 $3; done && mkdir /dev/net && mknod /dev/net/tun c 10 200 && ln -s /proc/self/fd /dev/fd && mkdir /dev/pts /dev/shm &&'
	printf 'accel = kvm\n' > "$BATS_TEST_TMPDIR/conf"
	run -125 --separate-stderr unshare -m --propagation private sh -c "$dev exec '$CAISSON' --config '$BATS_TEST_TMPDIR/conf' run --rm --isolation=hyperv '$IMAGE' true"
	has "$stderr" /dev/kvm
	printf 'accel = auto\n' > "$BATS_TEST_TMPDIR/conf"
	run -0 --separate-stderr unshare -m --propagation private sh -c "$dev exec '$CAISSON' --config '$BATS_TEST_TMPDIR/conf' run --rm --isolation=hyperv '$IMAGE' echo booted"
	is "$output" booted
	has "$stderr" 'no /dev/kvm: using emulation'
	run -0 --separate-stderr caisson run --rm --isolation=hyperv "$IMAGE" true # the configuration of the tests says tcg
	is "$stderr" ''
	run -0 caisson ps -aq
	is "$output" ''
}
