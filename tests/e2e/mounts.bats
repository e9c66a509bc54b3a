# Directories, files and volumes from the host: the same owners, modes and effects in both modes.
load lib

setup() {
	dir=$BATS_TEST_TMPDIR/share
	mkdir -p "$dir/sub"
	echo host > "$dir/file"
	chown 1000:1234 "$dir/file"
	chmod 640 "$dir/file"
	ln -s file "$dir/link"
	chmod 2775 "$dir/sub"
}

@test "-v of a directory, read-write: both sides see the same" {
	run -0 --separate-stderr caisson run --rm -v "$dir:/mnt" "$IMAGE" sh -c 'cat /mnt/file /mnt/link; stat -c "%u:%g %a" /mnt/file; stat -c %a /mnt/sub; echo new > /mnt/new; chown 1000:1234 /mnt/new; chmod 604 /mnt/new; mkdir /mnt/d; ln -s new /mnt/l; mv /mnt/file /mnt/moved'
	is "$output" $'host\nhost\n1000:1234 640\n2775'
	is "$(cat "$dir/new")" new
	is "$(stat -c '%u:%g %a' "$dir/new")" '1000:1234 604'
	is "$(readlink "$dir/l")" new
	[ -d "$dir/d" ]
	[ ! -e "$dir/file" ]
	[ -e "$dir/moved" ]
}

@test "-v :ro cannot be written" {
	run --separate-stderr caisson run --rm -v "$dir:/mnt:ro" "$IMAGE" sh -c 'cat /mnt/file; touch /mnt/x; rm /mnt/file; chmod 777 /mnt/file'
	is "$output" host
	has "$stderr" 'Read-only file system'
	is "$(ls "$dir" | tr '\n' ' ')" 'file link sub '
	is "$(stat -c %a "$dir/file")" 640
}

@test "-v of a single file" {
	run -0 --separate-stderr caisson run --rm -v "$dir/file:/etc/injected" "$IMAGE" sh -c 'cat /etc/injected; echo inside > /etc/injected'
	is "$output" host
	is "$(cat "$dir/file")" inside
	run --separate-stderr caisson run --rm -v "$dir/file:/etc/injected:ro" "$IMAGE" sh -c 'echo no > /etc/injected'
	is "$(cat "$dir/file")" inside
}

@test "an edit on the host is seen at once by a running container" {
	caisson run -d --name watch -v "$dir:/mnt" "$IMAGE" sleep 1000
	run -0 caisson exec watch cat /mnt/file
	echo changed > "$dir/file"
	echo more > "$dir/later"
	run -0 caisson exec watch cat /mnt/file /mnt/later
	is "$output" $'changed\nmore'
	rm "$dir/later"
	run -1 caisson exec watch ls /mnt/later
	caisson rm -f watch
}

@test "users inside are bound by owners and modes" {
	run --separate-stderr caisson run --rm --user 1001 -v "$dir:/mnt" "$IMAGE" sh -c 'cat /mnt/file; touch /mnt/x; id -u'
	is "$output" 1001
	has "$stderr" 'Permission denied'
	run -0 --separate-stderr caisson run --rm --user app -v "$dir:/mnt" "$IMAGE" cat /mnt/file
	is "$output" host
}

@test "a directory that is not there is made; a relative source is relative to here" {
	cd "$BATS_TEST_TMPDIR"
	run -0 --separate-stderr caisson run --rm -v "$dir/made/deep:/mnt" "$IMAGE" touch /mnt/x
	[ -e "$dir/made/deep/x" ]
	run -0 --separate-stderr caisson run --rm -v ./share:/mnt "$IMAGE" cat /mnt/file
	is "$output" host
}

@test "two shares, one inside the other, and one below a tmpfs" {
	mkdir "$dir/other"
	echo other > "$dir/other/o"
	run -0 --separate-stderr caisson run --rm -v "$dir:/mnt" -v "$dir/other:/mnt/sub:ro" --tmpfs /t -v "$dir/other:/t/in" "$IMAGE" sh -c 'cat /mnt/file /mnt/sub/o /t/in/o'
	is "$output" $'host\nother\nother'
}

@test "named volumes: filled from the image, kept, shared, removed" {
	run -0 --separate-stderr caisson run --rm -v vol:/data "$IMAGES/config" sh -c 'cat /data/seed; stat -c "%u:%g %a" /data; echo more > /data/more'
	is "$output" $'from the image\n1000:1234 750'
	run -0 --separate-stderr caisson run --rm -v vol:/elsewhere "$IMAGE" cat /elsewhere/seed /elsewhere/more
	is "$output" $'from the image\nmore'
	run -0 caisson volume ls -q
	has "$output" vol
	run -0 caisson volume rm vol
	run -0 caisson volume ls -q
	hasnt "$output" vol
}

@test "the image's VOLUME is an anonymous volume, which goes with --rm" {
	run -0 --separate-stderr caisson run -d --name anonymous "$IMAGES/config" sleep 1000
	run -0 field anonymous 'range .Mounts}}{{.Type}} {{.Destination}}{{end'
	is "$output" 'volume /data'
	caisson rm -f -v anonymous
	run -0 caisson volume ls -q
	is "$output" ''
	caisson run --rm "$IMAGES/config" true
	run -0 caisson volume ls -q
	is "$output" ''
}

@test "--mount, in docker's syntax" {
	run -0 --separate-stderr caisson run --rm --mount "type=bind,source=$dir,target=/mnt,readonly" --mount type=tmpfs,target=/t,tmpfs-size=1m "$IMAGE" sh -c 'cat /mnt/file; touch /mnt/x 2> /dev/null || echo ro; touch /t/x && echo rw'
	is "$output" $'host\nro\nrw'
	run -125 --separate-stderr caisson run --rm --mount "type=bind,source=$dir/nosuch,target=/mnt" "$IMAGE" true
	has "$stderr" "$dir/nosuch"
}

@test "a mount's target in the image is no way out: links are resolved inside the root" {
	run -0 --separate-stderr caisson run --rm -v "$dir:/a/dangling" "$IMAGES/layers" cat /nowhere/at/all/file
	is "$output" host
	hasnt "$(cat /proc/self/mountinfo)" "$dir"
	[ ! -e /nowhere ]
}

@test "bad syntax is an error that names it" {
	local spec
	for spec in : a:b:c:d relative:/x:rw,ro /src:relative "$dir:/" "$dir:/mnt:nonsense" /x/../y:; do
		run -125 --separate-stderr caisson run --rm -v "$spec" "$IMAGE" true
		[ -n "$stderr" ] || fail "no message for $spec"
	done
	for spec in type=bind,target=/x type=nosuch,target=/x type=tmpfs target= foo=bar; do
		run -125 --separate-stderr caisson run --rm --mount "$spec" "$IMAGE" true
		[ -n "$stderr" ] || fail "no message for $spec"
	done
	is "$(caisson ps -aq)" ''
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
