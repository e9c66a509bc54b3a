# Templates of images: a clone has the image mounted already, and is in nothing else different from a machine that has booted.
load lib

setup_file() {
	e2e_setup_file
	image_template
	NAME=$(caisson template ls --format '{{.Name}} {{.Image}}' | grep -- '-1n-.* .' | cut -d ' ' -f 1)
	export NAME SHAPE=${NAME%-*} TEMPLATES=$CAISSON_ROOT/template
	cp --sparse=always "$TEMPLATES/$NAME" "$TEMPLATES/$NAME.disk" "$E2E_DIR/"
	hostile_image
}

teardown() {
	remove_all
	assert_nothing_left
}

# What is read ahead is none of it a file: a fifo, a device, links in a circle and out of the root, a directory.
hostile_image() {
	python3 - "$E2E_DIR/hostile.tar" "$(command -v busybox)" <<- 'END'
		import io, sys, tarfile
		with tarfile.open(sys.argv[1], "w") as t:
		    def add(name, type, link="", mode=0o755, data=b"", device=(0, 0)):
		        i = tarfile.TarInfo(name)
		        i.type, i.linkname, i.mode, i.size, (i.devmajor, i.devminor) = type, link, mode, len(data), device
		        t.addfile(i, io.BytesIO(data))
		    add("bb", tarfile.REGTYPE, data=open(sys.argv[2], "rb").read())
		    add("etc", tarfile.DIRTYPE, mode=0o700)
		    add("etc/passwd", tarfile.FIFOTYPE)
		    add("etc/group", tarfile.CHRTYPE, device=(1, 5))
		    add("bin", tarfile.SYMTYPE, "../../../../bin")
		    add("lib64", tarfile.SYMTYPE, "lib64")
		    add("lib", tarfile.SYMTYPE, "/proc/1/root")
	END
	caisson import "$E2E_DIR/hostile.tar" hostile > /dev/null
}

put_whole() { cp --sparse=always "$E2E_DIR/$NAME" "$E2E_DIR/$NAME.disk" "$TEMPLATES/"; }

with() { # with VALUE COMMAND...: image-templates is VALUE
	sed "s/image-templates.*/image-templates = $1/" "$CAISSON_CONFIG" > "$BATS_TEST_TMPDIR/conf"
	"$CAISSON" --config "$BATS_TEST_TMPDIR/conf" "${@:2}"
}

is_there() { caisson template ls --format '{{.Name}} {{.Kernel}}' | grep -q "^$1 [0-9]"; }

# A clone has been made of it lately.
held() { caisson template ls --format '{{.Name}} {{.Held}}' | grep -qx "$1 yes"; }
none_held() { ! held "$NAME" && ! held "$SHAPE"; }
used_image() { held "$NAME" || fail 'not a clone of the template of the image'; }
used_shape() { ! held "$NAME" || fail 'a clone of the template of the image'; }

# One that builds this file's template.
builder() { pgrep -f "^caisson-builder $NAME" > /dev/null; }

byte_of() { # byte_of FILE OFFSET: inverts its lowest bit
	python3 -c '
import os, sys
fd, at = os.open(sys.argv[1], os.O_RDWR), int(sys.argv[2])
b = os.pread(fd, 1, at)
os.pwrite(fd, bytes([b[0] ^ 1]), at)' "$1" "$2"
}

@test "build IMAGE: named by it, listed with it, once" {
	put_whole
	run -0 --separate-stderr caisson template build "$IMAGE"
	is "$output" ''
	matches "$NAME" '^[0-9a-f]{16}-tcg-1024m-2c-1n-[0-9a-f]{12}$'
	run -0 caisson image inspect --format '{{.Id}}' "$IMAGE"
	has "$output" "sha256:${NAME##*-}"
	run -0 caisson template ls --format '{{.Name}} {{.Image}}'
	has "$output" "$NAME ${NAME##*-}"
	has "$output" "$SHAPE "
	run -1 --separate-stderr caisson template build nope
	is "$stderr" 'caisson: No such image: nope'
	run -1 --separate-stderr caisson template build "$IMAGE" "$IMAGE"
}

@test "a container is a clone of it, until it has written; never: it is not" {
	put_whole
	eventually 10 none_held
	caisson run --name twice "$IMAGE" sh -c 'echo kept > /file'
	used_image
	eventually 10 none_held
	run -0 caisson start -a twice
	used_shape
	eventually 10 none_held
	with never run --rm "$IMAGE" true
	used_shape
}

# What a container can see of how it was made. Of what differs in each, its id and addresses, only the form; and of all a VM's devices, which a privileged one
# has, not those that only clones have.
LOOK='
	sort /proc/self/mountinfo | sed "s/^[^-]* \(\/[^ ]* \/[^ ]* [^ ]*\).* - /\1 /; s/size=[0-9]*k,nr_inodes=[0-9]*,//" | sort
	id; pwd; umask; env | sort | grep -v HOSTNAME; stat -c "%A %u %g %n" / /* /etc/* /dev/* | grep -v -e /dev/fuse -e /dev/vdc
	cat /proc/self/status | grep -E "^(Uid|Gid|Groups|Cap|NoNew|Seccomp|Threads)" ; ulimit -a
	cat /etc/hosts /etc/resolv.conf | sed "s/^[0-9a-f.:]*[.:][0-9]*	[0-9a-f]*$/address/"; hostname | wc -c
	ls /proc/self/fd; cat /proc/self/cgroup; readlink /proc/1/root; cat /proc/sys/kernel/ngroups_max
	touch /new /etc/new 2>&1; ls /new /etc/new 2>&1; cat /x/f /data/f 2>&1; ls /x 2>&1
	ip -o addr | grep "scope [gh]" | sed "s/[0-9a-f.:]*[.:][0-9a-f]*\/[0-9]*.*//"; ip route | wc -l; cat /sys/class/net/eth0/mtu
	echo "$0" "$*"; tty 2>&1'

same() { # same OPTIONS...: the same is seen in a clone and in a machine that has booted
	mkdir -p "$BATS_TEST_TMPDIR/shared"
	echo shared > "$BATS_TEST_TMPDIR/shared/f"
	caisson run --rm --fresh-boot "$@" "$IMAGE" sh -c "$LOOK" me 'an argument' > "$BATS_TEST_TMPDIR/booted" 2>&1 || true
	rm -f "$BATS_TEST_TMPDIR/shared/"[!f]*
	caisson run --rm "$@" "$IMAGE" sh -c "$LOOK" me 'an argument' > "$BATS_TEST_TMPDIR/cloned" 2>&1 || true
	rm -f "$BATS_TEST_TMPDIR/shared/"[!f]*
	[ "$(wc -l < "$BATS_TEST_TMPDIR/booted")" -gt 60 ]
	diff "$BATS_TEST_TMPDIR/booted" "$BATS_TEST_TMPDIR/cloned" > "$BATS_TEST_TMPDIR/diff" || fail "$* differs:" "$(cat "$BATS_TEST_TMPDIR/diff")"
}

@test "a container sees just what it would see without: users, directories, limits, privileges" {
	put_whole
	same
	used_image
	same -u 1000:1000 -w /new/dir -e A=b --read-only --init
	same -u app --security-opt no-new-privileges --cap-drop ALL
	same --cap-add SYS_ADMIN --security-opt seccomp=unconfined
	same --privileged
	used_image
}

@test "and: shares, volumes, memory as disk, over and below the files of the network" {
	put_whole
	local shared=$BATS_TEST_TMPDIR/shared
	mkdir "$shared"
	same -v "$shared:/x" -v data:/data --tmpfs /scratch
	same -v "$shared:/x:ro" -v "$shared/f:/etc/hosts" --tmpfs /etc/deep
	same -v "$shared:/etc"
	same --tmpfs /etc --init
	same -v "$shared:/dev/x" -v "$shared:/x/y/z"
	used_image
	caisson volume rm data > /dev/null
}

@test "and: an image whose files of the network are links to each other" {
	put_whole
	mkdir "$BATS_TEST_TMPDIR/root" "$BATS_TEST_TMPDIR/root/bin" "$BATS_TEST_TMPDIR/root/etc"
	cp "$(command -v busybox)" "$BATS_TEST_TMPDIR/root/bin/sh"
	ln -s resolv.conf "$BATS_TEST_TMPDIR/root/etc/hosts"
	ln -s hosts "$BATS_TEST_TMPDIR/root/etc/hostname"
	tar -C "$BATS_TEST_TMPDIR/root" -cf "$BATS_TEST_TMPDIR/root.tar" .
	caisson import "$BATS_TEST_TMPDIR/root.tar" links > /dev/null
	caisson template build links > /dev/null
	run -0 caisson run --rm --hostname last links sh -c 'cat /etc/hosts'
	local alone=$output
	run -0 caisson run --rm --hostname last --tmpfs /scratch links sh -c 'cat /etc/hosts'
	is "$output" "$alone"
	caisson rmi links > /dev/null
}

@test "and: no network, several, names, a limit of memory, an input" {
	put_whole
	caisson network create one > /dev/null
	caisson network create --ipv6 two > /dev/null
	same --network none
	same --network one --network two
	same --hostname h --dns 192.0.2.1 --add-host a:192.0.2.2
	same -m 600m --pids-limit 50
	run -0 bash -c 'echo in | "$CAISSON" run --rm -i "$IMAGE" cat'
	is "$output" in
	run -0 "$BATS_TEST_DIRNAME/terminal.py" 24x80 expect:/dev/console wait -- "$CAISSON" run --rm -it "$IMAGE" sh -c 'tty; ls -l /dev/console'
	has "$output" /dev/pts/0
	used_image
	caisson network rm one two > /dev/null
}

@test "what one writes no other sees" {
	put_whole
	local path
	for _ in 1 2; do
		run -0 caisson run --rm "$IMAGE" sh -c 'ls /secret /etc/secret /dev/secret; ls -l /bin/ls; echo 1 | tee /secret /etc/secret > /dev/secret; rm /bin/ls' 2> /dev/null
		for path in /secret /etc/secret /dev/secret; do
			has "$output" "ls: $path: No such file or directory"
		done
		has "$output" '/bin/ls -> busybox'
	done
	used_image
}

@test "auto: made behind the second start of an image, not the first" {
	rm -f "$TEMPLATES/$NAME" "$TEMPLATES/$NAME.disk"
	with auto run --rm "$IMAGE" true
	[ -e "$CAISSON_RUN/template/$NAME.wanted" ]
	[ ! -e "$TEMPLATES/$NAME.build" ] && ! builder || fail 'made behind the first'
	run -0 --separate-stderr with auto run -d --name second "$IMAGE" sleep 1000
	is "$stderr" ''
	eventually 60 is_there "$NAME"
	eventually 5 test ! -e "$CAISSON_RUN/template/$NAME.wanted"
	with auto run --rm "$IMAGE" true
	used_image
	echo 'image-templates = sometimes' > "$BATS_TEST_TMPDIR/bad"
	run -1 --separate-stderr caisson --config "$BATS_TEST_TMPDIR/bad" ps
	has "$stderr" "invalid image-templates (sometimes): use 'auto', 'manual' or 'never'"
}

@test "a file of the image that is another one: its template goes" {
	put_whole
	touch "$CAISSON_ROOT/erofs/"*"${NAME##*-}"*.erofs
	run -0 --separate-stderr caisson run --rm "$IMAGE" echo ok
	is "$output/$stderr" ok/
	run -1 is_there "$NAME"
	run -0 caisson template build "$IMAGE"
	is "$output" "$NAME"
	touch "$CAISSON_ROOT/erofs/"*"${NAME##*-}"*.erofs
	run -0 caisson template build "$IMAGE"
	is "$output" "$NAME"
	cp --sparse=always "$TEMPLATES/$NAME" "$TEMPLATES/$NAME.disk" "$E2E_DIR/"
}

@test "damage: of memory, of the disk; the start is a clone of the shape's" {
	put_whole
	eventually 10 none_held
	byte_of "$TEMPLATES/$NAME" $((0x1000000 + 5))
	run -0 --separate-stderr caisson run -d --name box "$IMAGE" sleep 1000
	is "$stderr" ''
	run -1 is_there "$NAME"
	held "$SHAPE"
	caisson rm -f box > /dev/null
	put_whole
	truncate -s -4096 "$TEMPLATES/$NAME.disk"
	run -0 --separate-stderr caisson run --rm "$IMAGE" echo ok
	is "$output/$stderr" ok/
	run -1 is_there "$NAME"
}

@test "an image that has traps where files are read ahead" {
	run -0 caisson template build hostile
	matches "$output" '-1n-[0-9a-f]{12}$'
	local built=$output
	run -125 caisson run --rm hostile /bb true
	is "$output" "caisson: the container's /etc/passwd is no regular file"
	held "$built"
}

@test "rmi: its template goes with the image" {
	caisson template build hostile > /dev/null
	run -0 caisson image inspect --format '{{.Id}}' hostile
	local built=$SHAPE-${output:7:12}
	is_there "$built"
	caisson rmi hostile > /dev/null
	run -1 is_there "$built"
	[ -z "$(find "$TEMPLATES" -name "$built*" ! -name '*.lock')" ]
}

@test "clones' random numbers, UUIDs and addresses differ" {
	put_whole
	local i
	for i in 1 2 3 4 5; do
		caisson run --rm "$IMAGE" sh -c 'head -c 16 /dev/urandom | md5sum; cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id; cat /sys/class/net/eth0/address; hostname'
	done > "$BATS_TEST_TMPDIR/all"
	[ "$(wc -l < "$BATS_TEST_TMPDIR/all")" = 25 ]
	grep -vc : "$BATS_TEST_TMPDIR/all"
	[ "$(grep -v : "$BATS_TEST_TMPDIR/all" | sort -u | wc -l)" = 20 ]
	used_image
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
