# Whatever an image's layers say is what a container sees, in both modes.
load lib

setup_file() {
	e2e_setup_file
	caisson run -d --name box "$IMAGES/layers" sleep 100000 > /dev/null
}

@test "whiteouts and opaque directories hide what is below" {
	run -0 in_box sh -c 'cd /a; ls -a | tr "\n" " "; ls opaque becomes-dir; cat replaced kept/file becomes-file'
	hasnt "$output" removed
	hasnt "$output" gone
	hasnt "$output" .wh.
	has "$output" $'becomes-dir:\ny'
	has "$output" $'opaque:\nvisible'
	hasnt "$output" hidden
	has "$output" $'new\nkept\nfile'
}

@test "what was saved and loaded is the same" {
	local list='cd /a && find . -mindepth 1 | sort | while IFS= read -r f; do stat -c "%n %F %s %a %u %g %h %Y" "$f"; done'
	run -0 in_box sh -c "$list"
	local before=$output
	caisson save -o "$BATS_TEST_TMPDIR/a.tar" "$IMAGES/layers"
	caisson rm -f box > /dev/null
	caisson rmi "$IMAGES/layers" > /dev/null
	caisson load -q -i "$BATS_TEST_TMPDIR/a.tar" > /dev/null
	caisson run -d --name box "$IMAGES/layers" sleep 100000 > /dev/null
	run -0 in_box sh -c "$list"
	is "$output" "$before"
	[ "${#lines[@]}" -gt 20 ]
}

@test "hard links are one file, symbolic links keep their target" {
	run -0 in_box sh -c 'cd /a; stat -c "%h %i" one two three | sort -u; for l in link dangling up; do readlink $l; done; cat link'
	matches "${lines[0]}" '^3 [0-9]+$'
	is "$output" "${lines[0]}"$'\nkept/file\n/nowhere/at/all\n../../../../etc/passwd\nkept'
}

@test "owners, modes, times, setuid and sticky bits" {
	run -0 in_box stat -c '%n %u:%g %a %Y' /a/one /a/setuid /a/sticky /tmp /etc/shadow
	is "$output" $'/a/one 1000:1234 640 1600000000\n/a/setuid 1000:0 4755 1700000000\n/a/sticky 0:1234 3777 1700000000\n/tmp 0:0 1777 1700000000\n/etc/shadow 0:0 640 1700000000'
	run -0 in_box sh -c 'stat -c "%u:%g" /a/link'
	is "$output" 1000:1000
}

@test "devices, pipes, empty files and odd names" {
	run -0 in_box sh -c 'cd /a; stat -c "%F %t:%T" null fifo; echo x > null; wc -c < empty; cat long* "spaces and "*'
	is "$output" $'character special file 1:3\nfifo 0:0\n0\nlong name\nodd name'
}

@test "file capabilities" {
	run -0 caisson exec -u app box /a/busybox grep CapEff /proc/self/status
	is "$output" $'CapEff:\t0000000000002000'
}

@test "writing, renaming and deleting what the image has" {
	run -0 in_box sh -c 'cd /a; echo more >> one; cat two one; rm kept/file; ls kept; mv opaque moved && ls moved; rm -r becomes-dir; ls -d becomes-dir 2>&1 || true'
	has "$output" more
	has "$output" visible
	has "$output" 'No such file'
	run -0 caisson run --rm "$IMAGES/layers" cat /a/one /a/kept/file
	is "$output" $'linked\nkept'
}

@test "an index of several platforms gives ours" {
	run -0 --separate-stderr caisson run --rm "$IMAGES/platforms"
	is "$output" amd64
}

@test "a manifest of docker's schema 2" {
	run -0 --separate-stderr caisson run --rm "$IMAGES/schema2"
	is "$output" 'entry cmd two words'
}

@test "an imported tar" {
	mkdir -p "$BATS_TEST_TMPDIR/root/bin" "$BATS_TEST_TMPDIR/root/etc"
	cp "$(command -v busybox)" "$BATS_TEST_TMPDIR/root/bin/busybox"
	ln -s busybox "$BATS_TEST_TMPDIR/root/bin/sh"
	echo imported > "$BATS_TEST_TMPDIR/root/etc/mark"
	tar -C "$BATS_TEST_TMPDIR/root" -cf "$BATS_TEST_TMPDIR/root.tar" .
	run -0 --separate-stderr caisson import --change 'CMD ["sh", "-c", "read x < /etc/mark; echo $x"]' "$BATS_TEST_TMPDIR/root.tar" local/imported:1
	matches "$output" '^sha256:[0-9a-f]{64}$'
	run -0 --separate-stderr caisson run --rm local/imported:1
	is "$output" imported
	run -0 --separate-stderr sh -c "gzip -c '$BATS_TEST_TMPDIR/root.tar' | '$CAISSON' import - local/imported:2"
	run -0 --separate-stderr caisson run --rm local/imported:2 /bin/busybox cat /etc/mark
	is "$output" imported
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
