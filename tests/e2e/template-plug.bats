# Clones that have more than their template: shares, and several networks, which are plugged in once the clone runs. What a share does is in mounts.bats.
load lib

setup_file() {
	e2e_setup_file
	rm "$CAISSON_ROOT/template"
	NAME=$(caisson template build)
	export NAME TEMPLATES=$CAISSON_ROOT/template
	caisson network create --subnet 10.96.0.0/24 second > /dev/null
	caisson network create --subnet 10.97.0.0/24 third > /dev/null
}

setup() {
	dir=$BATS_TEST_TMPDIR/share
	mkdir "$dir"
	echo host > "$dir/file"
}

teardown() {
	remove_all
	assert_nothing_left
}

is_clone() { grep -qzx -e -incoming "/proc/$(helpers_of "$1" qemu)/cmdline"; }
template_sum() { sha256sum < "$TEMPLATES/$NAME"; }
held_sum() { python3 "$BATS_TEST_DIRNAME/sealed.py" hold "$CAISSON_RUN/template/$NAME.sock"; }
only_template() { is "$(caisson template ls -q)" "$NAME"; }

@test "a start with -v is a clone of the template that there is, and leaves it as it was" {
	local file memory
	caisson run -d --name first -v "$dir:/mnt" "$IMAGE" sleep 1000 > /dev/null
	is_clone first
	file=$(template_sum)
	memory=$(held_sum)
	caisson run -d --name second -v "$dir:/mnt" "$IMAGE" sleep 1000 > /dev/null
	is_clone second
	run -0 caisson exec second sh -c 'cat /mnt/file; dd if=/dev/urandom of=/dev/shm/x bs=1M count=8 2> /dev/null; cp /dev/shm/x /mnt/x; md5sum < /mnt/x'
	is "${lines[0]}" host
	is "${lines[1]}" "$(md5sum < "$dir/x")"
	is "$(caisson exec first sh -c 'md5sum < /mnt/x')" "${lines[1]}"
	is "$(held_sum)" "$memory"
	is "$(template_sum)" "$file"
	only_template
}

# The inode of the memory of a clone with a share, from its QEMU's mappings.
memory_of() { awk '/memfd:caisson-clone/ { print $5 }' "/proc/$(helpers_of "$1" qemu)/maps" | sort -u; }

# Who has it mapped or open, of all processes there are.
holders_of() { # holders_of INODE
	local pid fd
	for pid in $(ls /proc | grep -x '[0-9]*'); do
		if awk -v inode="$1" '/memfd:caisson-clone/ && $5 == inode { found = 1 } END { exit !found }' "/proc/$pid/maps" 2> /dev/null; then
			echo "$pid"
			continue
		fi
		for fd in $(find "/proc/$pid/fd" -lname '*memfd:caisson-clone*' 2> /dev/null); do
			[ "$(stat -L -c %i "$fd" 2> /dev/null)" != "$1" ] || echo "$pid"
		done
	done
}

@test "the memory of such a clone is its own: no other process than its QEMU and its virtiofsd has it" {
	local name inode pid fd
	for name in one two; do caisson run -d --name $name -v "$dir:/mnt" "$IMAGE" sleep 1000 > /dev/null; done
	[ "$(memory_of one)" != "$(memory_of two)" ]
	for name in one two; do
		inode=$(memory_of $name)
		[ -n "$inode" ] || fail 'QEMU has no such memory'
		run -0 holders_of "$inode"
		[[ $'\n'$output$'\n' == *$'\n'"$(helpers_of $name qemu)"$'\n'* ]] || fail "QEMU is not among $output"
		for pid in $output; do
			[[ $'\n'$(helpers_of $name qemu)$'\n'$(helpers_of $name virtiofsd)$'\n' == *$'\n'"$pid"$'\n'* ]] ||
				fail "$pid has the memory of $name: $(tr '\0' ' ' < "/proc/$pid/cmdline")"
		done
	done
}

@test "several -v in a clone: a directory, a directory that cannot be written, a single file, a named volume" {
	mkdir "$dir/ro"
	echo fixed > "$dir/ro/f"
	caisson run -d --name several -v "$dir:/mnt" -v "$dir/ro:/ro:ro" -v "$dir/file:/etc/single" -v filled:/data --user 0 "$IMAGES/config" sleep 1000 > /dev/null
	is_clone several
	run -0 --separate-stderr caisson exec several sh -c 'cat /mnt/file /ro/f /etc/single /data/seed; echo no 2> /dev/null > /ro/f; echo one > /etc/single; echo two > /data/more'
	is "$output" $'host\nfixed\nhost\nfrom the image'
	is "$(cat "$dir/ro/f" "$dir/file")" $'fixed\none'
	caisson rm -f several > /dev/null
	is "$(caisson run --rm -v filled:/data "$IMAGE" cat /data/more)" two
	caisson volume rm filled > /dev/null
}

@test "big files, both ways at once" {
	dd if=/dev/urandom of="$dir/in" bs=1M count=40 2> /dev/null
	run -0 caisson run --rm -v "$dir:/mnt" "$IMAGE" sh -c 'dd if=/mnt/in of=/mnt/out bs=1M 2> /dev/null & dd if=/dev/urandom of=/mnt/random bs=1M count=10 2> /dev/null; wait; md5sum < /mnt/random'
	is "$output" "$(md5sum < "$dir/random")"
	cmp "$dir/in" "$dir/out"
}

@test "what a --rm container leaves in a share is there when run returns: pages of shared mappings, too" {
	requires gcc
	gcc -static -O1 -o "$dir/map-files" "$BATS_TEST_DIRNAME/map-files.c"
	caisson run --rm -v "$dir:/mnt" "$IMAGE" /mnt/map-files /mnt/m 50
	local i
	for i in $(seq 0 49); do
		is "$(tr -d "\\$(printf %o $((i + 48)))" < "$dir/m$i" | wc -c) $(wc -c < "$dir/m$i")" '0 65536'
	done
}

@test "a container with shares that ran before is a clone, too, and has its disk" {
	caisson run -d --name again -v "$dir:/mnt" "$IMAGE" sleep 1000 > /dev/null
	caisson exec again sh -c 'echo kept > /kept'
	caisson stop -t 5 again > /dev/null
	caisson start again > /dev/null
	is_clone again
	is "$(caisson exec again cat /kept /mnt/file)" $'kept\nhost'
}

@test "--fresh-boot with shares and several networks" {
	caisson run -d --name fresh --fresh-boot --network second --network third -v "$dir:/mnt" "$IMAGE" sleep 1000 > /dev/null
	! is_clone fresh
	run -0 caisson exec fresh sh -c 'cat /mnt/file; ip -o -4 address | grep -c " eth"'
	is "$output" $'host\n2'
}

ended() { status_is "$1" exited || status_is "$1" created; }

# Kills it once, after so many milliseconds. $early: it came before COMMITTED, and a second try runs the container; later, as a busy host may have it, it is the
# container's end.
strike() { # strike MILLISECONDS
	local killer started=0 said=$BATS_TEST_TMPDIR/said ready=$BATS_TEST_TMPDIR/ready
	caisson create --name struck -v "$dir:/mnt" "$IMAGE" sleep 1000 > /dev/null
	rm -f "$ready"
	READY=$ready python3 "$BATS_TEST_DIRNAME/kill-one.py" virtiofsd "$1" struck > /dev/null 3>&- &
	killer=$!
	eventually 20 test -e "$ready"
	CAISSON_DEBUG=vm caisson start struck > /dev/null 2> "$said" || started=$?
	ends_with 0 $killer
	early=no
	if grep -q 'start failed (virtiofsd.*): once more' "$said"; then
		is "$started $(caisson exec struck cat /mnt/file)" '0 host'
		early=yes
	else
		eventually 20 ended struck
		has "$(cat "$said") $(field struck .State.Error)" "virtiofsd, which shares the host's directories, has ended"
	fi
	caisson rm -f struck > /dev/null
}

@test "virtiofsd killed while a clone starts: the container runs all the same, and the template stays" {
	local delay early tries
	for delay in 0 20 60; do
		early=no
		for ((tries = 0; tries < 8; tries++)); do
			[ $early = yes ] || strike $delay
		done
		is "killed in time: $early" 'killed in time: yes'
		only_template
	done
}

@test "several networks are clones of the template with one: names and addresses in the order asked for" {
	local mac2=02:00:00:00:00:0b mac3=02:00:00:00:00:0c
	caisson run -d --name nets --network name=third,mac-address=$mac3 --network name=second,mac-address=$mac2 -v "$dir:/mnt" "$IMAGE" sleep 1000 > /dev/null
	is_clone nets
	run -0 caisson exec nets sh -c 'ls /sys/class/net; cat /sys/class/net/eth0/address /sys/class/net/eth1/address; ip -o -4 address | sed -n "s/.*\(eth[0-9]*\) .*inet \(10.9[0-9]*\).*/\1 \2/p"; cat /mnt/file'
	is "$output" $'eth0\neth1\nlo\n'"$mac3"$'\n'"$mac2"$'\neth0 10.97\neth1 10.96\nhost'
	only_template
}

@test "the addresses are there before the workload's first instruction" {
	run -0 --separate-stderr caisson run --rm --network second --network third "$IMAGE" ip -o -4 address
	has "$output" 'eth0    inet 10.96.0.'
	has "$output" 'eth1    inet 10.97.0.'
}

@test "as many networks as a virtual machine takes, with a share; one more is an error" {
	local n options=
	for n in 1 2 3 4 5 6 7 8 9; do caisson network create "many$n" > /dev/null; done
	for n in 1 2 3 4 5 6 7 8; do options+=" --network many$n"; done
	caisson run -d --name most $options -v "$dir:/mnt" "$IMAGE" sleep 1000 > /dev/null
	is_clone most
	run -0 caisson exec most sh -c 'ip -o -4 address | grep -c " eth"; cat /mnt/file'
	is "$output" $'8\nhost'
	run -1 --separate-stderr caisson network connect many9 most
	has "$stderr" 'no slot left'
	# one that is put by is used again
	caisson network disconnect many3 most
	caisson network connect many9 most
	is "$(caisson exec most sh -c 'ip -o -4 address | grep -c " eth"')" 8
	caisson rm -f most > /dev/null
	run -125 --separate-stderr caisson run --rm $options --network many9 "$IMAGE" true
	has "$stderr" '8 networks at most'
	for n in 1 2 3 4 5 6 7 8 9; do caisson network rm "many$n" > /dev/null; done
}

@test "many clones with shares at once" {
	local i pids=
	for i in $(seq 8); do
		"$CAISSON" run --rm -v "$dir:/mnt" "$IMAGE" sh -c "cat /mnt/file; echo $i > /mnt/by$i" > "$BATS_TEST_TMPDIR/out.$i" 2>&1 &
		pids+=" $!"
	done
	for i in $pids; do wait "$i" || fail "$(cat "$BATS_TEST_TMPDIR"/out.*)"; done
	for i in $(seq 8); do is "$(cat "$BATS_TEST_TMPDIR/out.$i" "$dir/by$i")" "host"$'\n'"$i"; done
}
