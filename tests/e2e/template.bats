# Templates: virtual machines are clones of one that has booted, whatever happens to its file, to who holds it and to who makes it; and nothing is shared that
# should not be. The file has a directory of templates of its own, as it damages them.
load lib

setup_file() {
	e2e_setup_file
	rm "$CAISSON_ROOT/template"
	NAME=$(caisson template build)
	mkdir "$E2E_DIR/whole"
	cp --sparse=always "$CAISSON_ROOT/template/$NAME" "$CAISSON_ROOT/template/$NAME.disk" "$E2E_DIR/whole/"
	export NAME TEMPLATES=$CAISSON_ROOT/template MAKING='making the template of utility VMs'
}

teardown() {
	[ -z "${MOUNTED:-}" ] || umount -l "$MOUNTED"
	[ -z "${locker:-}" ] || kill "$locker" 2> /dev/null || true
	remove_all
	assert_nothing_left
}

# The processes of a program with an argument, of this network namespace, which is this file's.
ours() { # ours PROGRAM ARGUMENT
	local pid
	for pid in $(grep -lzsx -e "$2" /proc/[0-9]*/cmdline | cut -d / -f 3); do
		[ "$(cat "/proc/$pid/comm" 2> /dev/null)" != "${1:0:15}" ] ||
			[ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] || echo "$pid"
	done
}

holder() { ours caisson-template "$NAME"; }
no_holder() { [ -z "$(holder)" ]; }
is_held() { [ -n "$(holder)" ]; }

none_there() {
	caisson template rm --all > /dev/null
	eventually 5 no_holder
	rm -f "$CAISSON_RUN/template/"*.failed
}

# The template as it was built, with nobody who has it in memory.
put_whole() {
	none_there
	cp --sparse=always "$E2E_DIR/whole/$NAME.disk" "$E2E_DIR/whole/$NAME" "$TEMPLATES/"
}

is_whole() { [ "$(caisson template ls --format '{{.Name}} {{.Kernel}}' | grep -c "^$NAME [0-9]")" = 1 ]; }
is_there() { caisson template ls -q | grep -qx "$1"; }

is_clone() { grep -qzx -e -incoming "/proc/$(helpers_of "$1" qemu)/cmdline"; }

no_work_left() { [ -z "$(find "$TEMPLATES/" -name '*.new' -o -name '*.build')" ]; }

# says_ok [OPTIONS...]: a container runs; its error output is in $stderr
says_ok() {
	run -0 --separate-stderr caisson run --rm "$@" "$IMAGE" echo ok
	is "$output" ok
}

byte_of() { # byte_of FILE OFFSET: inverts its lowest bit
	python3 -c '
import os, sys
fd, at = os.open(sys.argv[1], os.O_RDWR), int(sys.argv[2])
b = os.pread(fd, 1, at)
os.pwrite(fd, bytes([b[0] ^ 1]), at)' "$1" "$2"
}

FOOTER=256 # sizeof(struct template_footer)

# ---- the commands ----

@test "build, ls, rm" {
	put_whole
	run -0 --separate-stderr caisson template build
	is "$output" ''
	run -0 --separate-stderr caisson template ls
	matches "$output" "$NAME +6\.[0-9.]+[^ ]* +tcg +1024MiB +2 +1 +[0-9.]+MB .* ago"
	hasnt "$output" yes
	run -0 --separate-stderr caisson template ls --format '{{.Name}} {{.CPUs}}'
	is "$output" "$NAME 2"
	run -0 --separate-stderr caisson info --format '{{.Templates}}'
	is "$output" 1
	run -0 --separate-stderr caisson doctor
	has "$output" 'templates: 1, which virtual machines are cloned from'
	run -0 --separate-stderr caisson template rm "$NAME"
	is "$output" "$NAME"
	run -0 caisson template ls -q
	is "$output" ''
	run -1 --separate-stderr caisson template rm "$NAME"
	is "$stderr" "caisson: No such template: $NAME"
	run -0 --separate-stderr caisson doctor
	has "$output" 'templates: none yet: the first start makes one'
}

@test "rm: nothing but templates can be named; wrong uses are errors" {
	put_whole
	local name
	touch "$CAISSON_ROOT/kept"
	for name in ../kept . .. '' "$NAME.lock" "../template/$NAME"; do
		run -1 --separate-stderr caisson template rm "$name"
		has "$stderr" 'caisson: No such template:'
	done
	[ -e "$CAISSON_ROOT/kept" ]
	is_whole
	run -1 --separate-stderr caisson template rm
	run -1 --separate-stderr caisson template rm --all "$NAME"
	is_whole
	run -1 --separate-stderr caisson template build -m 1m
	has "$stderr" 'Minimum memory limit allowed is 6MB'
	run -1 --separate-stderr caisson template build --network host
	has "$stderr" "use 'bridge' or 'none'"
}

@test "HELD: while a clone runs and some time after" {
	put_whole
	caisson run -d --name user "$IMAGE" sleep 1000 > /dev/null
	is_held
	run -0 caisson template ls --format '{{.Held}}'
	is "$output" yes
	caisson rm -f user > /dev/null
	is_held
	eventually 10 no_holder # template-linger = 5
	run -0 caisson template ls --format '{{.Held}}'
	is "$output" ''
}

@test "memory that a clone has used goes back to the host with it" {
	put_whole
	sed 's/template-linger.*/template-linger = 600/' "$CAISSON_CONFIG" > "$BATS_TEST_TMPDIR/conf"
	caisson --config "$BATS_TEST_TMPDIR/conf" run -d --name user "$IMAGE" sleep 1000 > /dev/null
	caisson exec user sh -c 'head -c 200000000 /dev/zero | tail -c 200000000 | wc -c'
	is_held
	caisson rm -f user > /dev/null
	eventually 3 no_holder
	says_ok
	is "$stderr" ''
}

@test "rm: the holder ends at once, a running clone goes on" {
	put_whole
	caisson run -d --name user "$IMAGE" sleep 1000 > /dev/null
	is_clone user
	caisson template rm "$NAME"
	eventually 3 no_holder
	run -0 caisson exec user sh -c 'dd if=/dev/zero bs=1M count=50 2> /dev/null | wc -c'
	is "$output" 52428800
	caisson stop -t 5 user
}

# ---- starts ----

@test "the first start makes the template and says so, and is a clone already; so is the second" {
	none_there
	run -0 --separate-stderr caisson run -d --name first "$IMAGE" sleep 1000
	has "$stderr" "$MAKING"
	is_clone first
	run -0 --separate-stderr caisson run -d --name second "$IMAGE" sleep 1000
	is "$stderr" ''
	is_clone second
	is_whole
}

@test "--fresh-boot and fresh-boot = yes boot" {
	put_whole
	caisson run -d --name fresh --fresh-boot "$IMAGE" sleep 1000
	! is_clone fresh || fail '--fresh-boot: a clone'
	{ cat "$CAISSON_CONFIG"; echo 'fresh-boot = yes'; } > "$BATS_TEST_TMPDIR/conf"
	caisson --config "$BATS_TEST_TMPDIR/conf" run -d --name configured "$IMAGE" sleep 1000
	! is_clone configured || fail 'fresh-boot = yes: a clone'
	no_holder
}

@test "another shape boots, and its template appears afterwards" {
	put_whole
	run -0 --separate-stderr caisson run -d --name small -m 64m --cpus 1 "$IMAGE" sleep 1000
	is "$stderr" ''
	! is_clone small
	eventually 60 is_there "${NAME%%-*}-tcg-256m-1c-1n"
	caisson run -d --name smaller -m 32m --cpus 0.5 "$IMAGE" sleep 1000
	is_clone smaller
	run -0 caisson exec smaller nproc
	is "$output" 1
	eventually 5 no_work_left
}

# ---- damage ----

damaged() { # a start with the damaged file: the container runs, and the template is whole again
	run -0 caisson template ls --format '{{.Name}} {{.Kernel}}'
	is "$output" "$NAME (damaged)"
	says_ok
	has "$stderr" "$MAKING"
	is_whole
	says_ok
	is "$stderr" ''
}

size() { stat -c %s "$TEMPLATES/$NAME"; }

@test "a file that was cut" {
	put_whole
	truncate -s -1 "$TEMPLATES/$NAME"
	damaged
}

@test "a file that was cut to nothing" {
	put_whole
	truncate -s 0 "$TEMPLATES/$NAME"
	damaged
}

@test "a bit of the memory" {
	put_whole
	byte_of "$TEMPLATES/$NAME" $((0x1000000 + 5))
	damaged
}

@test "a bit of the devices' state" {
	put_whole
	byte_of "$TEMPLATES/$NAME" $(($(size) - FOOTER - 1000))
	damaged
}

@test "a bit of the footer" {
	put_whole
	byte_of "$TEMPLATES/$NAME" $(($(size) - 190)) # the clock rate
	damaged
}

@test "a file of another version of the format" {
	put_whole
	byte_of "$TEMPLATES/$NAME" $(($(size) - FOOTER + 8))
	damaged
}

# Where a kernel lies in memory is random, and what it never touched is a hole already.
used_memory() { # used_memory FILE: the offset of 64 KiB that are not all zeros
	python3 - "$1" <<- 'END'
		import os, sys
		fd, at = os.open(sys.argv[1], os.O_RDONLY), 0x1000000
		while not any(os.pread(fd, 65536, at := os.lseek(fd, at, os.SEEK_DATA))):
		    at += 65536
		print(at)
	END
}

@test "a hole where memory was, as a crash of the host leaves it" {
	put_whole
	fallocate --punch-hole --offset "$(used_memory "$TEMPLATES/$NAME")" --length 65536 "$TEMPLATES/$NAME"
	damaged
}

# The start that finds it boots, and the next one makes another.
damaged_disk() {
	run -0 caisson template ls --format '{{.Kernel}}'
	is "$output" '(damaged)'
	says_ok
	is "$(caisson template ls -q)" ''
	says_ok
	has "$stderr" "$MAKING"
	is_whole
}

@test "a bit of the disk that the template has mounted" {
	put_whole
	byte_of "$TEMPLATES/$NAME.disk" 1100
	damaged_disk
}

@test "a template without its disk" {
	put_whole
	rm "$TEMPLATES/$NAME.disk"
	damaged_disk
}

@test "a disk that is longer, or a link" {
	put_whole
	truncate -s +4096 "$TEMPLATES/$NAME.disk"
	damaged_disk
	put_whole
	mv "$TEMPLATES/$NAME.disk" "$BATS_TEST_TMPDIR/disk"
	ln -s "$BATS_TEST_TMPDIR/disk" "$TEMPLATES/$NAME.disk"
	damaged_disk
}

@test "a file that is damaged or removed while its memory is held: it is made again, and running clones go on" {
	local first
	put_whole
	caisson run -d --name user "$IMAGE" sleep 1000 > /dev/null
	first=$(holder)
	truncate -s -1 "$TEMPLATES/$NAME"
	damaged
	eventually 5 gone "$first"
	first=$(holder)
	rm "$TEMPLATES/$NAME" "$TEMPLATES/$NAME.disk"
	says_ok
	has "$stderr" "$MAKING"
	is_whole
	eventually 5 gone "$first"
	run -0 caisson exec user sh -c 'dd if=/dev/zero bs=1M count=50 2> /dev/null | wc -c'
	is "$output" 52428800
}

@test "a file that another took the place of while its memory is held: clones are the new one's" {
	put_whole
	caisson run -d --name user "$IMAGE" sleep 1000 > /dev/null
	local first
	first=$(holder)
	rm "$TEMPLATES/$NAME" "$TEMPLATES/$NAME.disk"
	caisson template build > /dev/null
	says_ok
	is "$stderr" ''
	is_whole
	eventually 5 gone "$first"
	caisson run -d --name next "$IMAGE" sleep 1000 > /dev/null
	is_clone next
	is_whole
}

@test "a full disk: the container runs, and one line says why there is no template" {
	none_there
	MOUNTED=$TEMPLATES
	mount -t tmpfs -o size=16m,mode=700 none "$MOUNTED"
	says_ok
	has "$stderr" 'no template, the VM boots: '
	has "$stderr" 'No space left on device'
	no_work_left
	is "$(caisson template ls -q)" ''
	# not tried again for a while, but for who asks for it
	says_ok
	hasnt "$stderr" "$MAKING"
	has "$stderr" 'No space left on device (tried a while ago'
	run -1 --separate-stderr caisson template build
	has "$stderr" 'No space left on device'
	no_work_left
}

builder() { ours caisson-builder "$1"; }
nobody_builds() { [ -z "$(builder "$1")" ]; }

@test "a template that cannot be built beside a container: doctor says why, and it is tried again after a while" {
	local small=${NAME%%-*}-tcg-256m-1c-1n note
	none_there
	note=$CAISSON_RUN/template/$small.failed
	MOUNTED=$TEMPLATES
	mount -t tmpfs -o size=16m,mode=700 none "$MOUNTED"
	touch "$TEMPLATES/${NAME%%-*}-tcg-9999m-1c-1n" # of this generation
	says_ok -m 64m --cpus 1
	is "$stderr" ''
	eventually 60 test -e "$note"
	eventually 5 nobody_builds "$small"
	run -0 --separate-stderr caisson doctor
	matches "$output" "$small could not be built 0 minutes ago: .*No space left on device"
	says_ok -m 64m --cpus 1
	is "$stderr" ''
	nobody_builds "$small"
	touch -d '11 minutes ago' "$note"
	caisson run -d --name small -m 64m --cpus 1 "$IMAGE" sleep 1000
	eventually 10 eval '! nobody_builds "$small"'
	umount -l "$MOUNTED"
	MOUNTED=
	eventually 60 nobody_builds "$small"
	caisson template build -m 64m --cpus 1 > /dev/null
	[ ! -e "$note" ]
	run -0 --separate-stderr caisson doctor
	hasnt "$output" 'could not be built'
}

@test "who builds beside a container is not its monitor" {
	local small=${NAME%%-*}-tcg-256m-1c-1n pid
	put_whole
	caisson run -d --name small -m 64m --cpus 1 "$IMAGE" sleep 1000
	eventually 10 eval '! nobody_builds "$small"'
	pid=$(builder "$small")
	is "$(ps -o comm= -p "$pid")" caisson-builder
	matches "$(ps -o args= -p "$pid")" "^caisson-builder $small *$"
	is "$(ps -o ni= -p "$pid" | tr -d ' ')" 19
	caisson rm -f small > /dev/null
	eventually 60 is_there "$small"
}

# ---- ends of all who take part ----

@test "the holder killed: clones go on, the next start is a clone and there is a holder again" {
	put_whole
	caisson run -d --name user "$IMAGE" sleep 1000 > /dev/null
	kill -9 "$(holder)"
	eventually 5 no_holder
	run -0 caisson exec user sh -c 'head -c 20000000 /dev/urandom | wc -c'
	is "$output" 20000000
	caisson run -d --name next "$IMAGE" sleep 1000 > /dev/null
	is_clone next
	is_held
}

@test "QEMU killed while it restores: the container runs all the same" {
	put_whole
	caisson create --name struck "$IMAGE" sleep 1000
	python3 "$BATS_TEST_DIRNAME/kill-one.py" restoring 0 struck > /dev/null 3>&- &
	local killer=$!
	caisson start struck
	ends_with 0 $killer
	! is_clone struck
	run -0 caisson exec struck echo alive
	is "$output" alive
	# what could not be restored once is no more trusted
	says_ok
	is_whole
}

@test "the monitor killed: the holder and the template stay" {
	put_whole
	caisson run -d --name widow "$IMAGE" sleep 1000 > /dev/null
	kill -9 "$(monitor_of widow)"
	eventually 5 status_is widow exited
	is_held
	caisson start widow
	is_clone widow
	is_whole
}

@test "the command and the monitor killed at any moment of a first start: the template is whole or not there, and nothing is left" {
	local delay client monitor
	for delay in 0.1 0.5 1.5 3; do
		none_there
		caisson create --name victim "$IMAGE" sleep 1000 > /dev/null
		"$CAISSON" start victim > /dev/null 2>&1 &
		client=$!
		sleep $delay
		monitor=$(monitor_of victim) || true
		kill -9 $client $monitor 2> /dev/null || true
		wait $client 2> /dev/null || true
		[ -z "$(caisson template ls -q)" ] || is_whole
		caisson rm -f victim > /dev/null
		caisson template build > /dev/null
		is_whole
		no_work_left || fail "$(ls "$TEMPLATES/")"
	done
}

@test "a builder killed: the next one builds" {
	none_there
	"$CAISSON" template build > /dev/null &
	local builder=$!
	eventually 10 test -d "$TEMPLATES/$NAME.build"
	sleep 0.5
	local children
	children=$(descendants $builder)
	kill -9 $builder
	wait $builder || true
	for pid in $children; do eventually 5 gone "$pid"; done
	run -0 caisson template ls -q
	is "$output" ''
	run -0 --separate-stderr caisson template build
	is "$output" "$NAME"
	no_work_left
	is_whole
}

@test "what is left of builders goes with the next build, unless its lock is held; old templates of other generations too" {
	none_there
	local old=0123456789abcdef-tcg-1024m-2c-1n new=1123456789abcdef-tcg-1024m-2c-1n busy=2123456789abcdef-tcg-1024m-2c-1n
	mkdir "$TEMPLATES/$old.build" "$TEMPLATES/$busy.build"
	touch "$TEMPLATES/$old.build/console.log" "$TEMPLATES/$old.new" "$TEMPLATES/$old.disk" "$TEMPLATES/$old.disk.new" "$TEMPLATES/$old.lock" "$TEMPLATES/$busy.new" "$TEMPLATES/$busy.lock" "$TEMPLATES/$new"
	touch -d '2 days ago' "$TEMPLATES/$old"
	flock "$TEMPLATES/$busy.lock" sleep 100 3>&- &
	locker=$!
	sleep 0.5
	caisson template build
	is "$(ls "$TEMPLATES/" | sort | tr '\n' ' ')" "$(printf '%s\n' $new $busy.build $busy.lock $busy.new "$NAME" "$NAME.disk" "$NAME.lock" | sort | tr '\n' ' ')"
	kill "$(descendants $locker)"
	eventually 5 gone $locker
	caisson template rm $new
	is "$(ls "$TEMPLATES/" | sort | tr '\n' ' ')" "$NAME $NAME.disk $NAME.lock "
}

@test "many starts at once while there is none: one builder, all are clones" {
	none_there
	local i pids=
	# all the builders' QEMUs there ever are
	python3 -c '
import os, sys
seen, own = set(), os.readlink("/proc/self/ns/net")
while not os.path.exists(sys.argv[1]):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if b"guest=caisson-template\0" in open(f"/proc/{pid}/cmdline", "rb").read():
                parent = open(f"/proc/{pid}/stat").read().rsplit(")")[1].split()[1]
                if os.readlink(f"/proc/{parent}/ns/net") == own:
                    seen.add(pid)
        except OSError:
            pass
print(len(seen))' "$BATS_TEST_TMPDIR/done" > "$BATS_TEST_TMPDIR/builders" &
	local watcher=$!
	for i in $(seq 20); do
		"$CAISSON" run -d --name "many$i" "$IMAGE" sleep 1000 > /dev/null 2> "$BATS_TEST_TMPDIR/err.$i" &
		pids+=" $!"
	done
	for i in $pids; do wait "$i" || fail "$(cat "$BATS_TEST_TMPDIR"/err.*)"; done
	touch "$BATS_TEST_TMPDIR/done"
	ends_with 0 $watcher
	is "$(cat "$BATS_TEST_TMPDIR/builders")" 1
	for i in $(seq 20); do is_clone "many$i" || fail "many$i has booted: $(cat "$BATS_TEST_TMPDIR/err.$i")"; done
	is "$(holder | wc -l)" 1
}

# ---- what clones are to each other ----

@test "nobody can change the memory that clones start from: from the holder, and through a clone's QEMU" {
	put_whole
	local fd qemu n=0
	run -0 python3 "$BATS_TEST_DIRNAME/sealed.py" control
	caisson run -d --name user "$IMAGE" sleep 1000 > /dev/null
	run -0 python3 "$BATS_TEST_DIRNAME/sealed.py" hold "$CAISSON_RUN/template/$NAME.sock"
	local sum=$output
	qemu=$(helpers_of user qemu)
	for fd in "/proc/$qemu/fd/"*; do
		case $(readlink "$fd") in
		*memfd:caisson-template*)
			run -0 python3 "$BATS_TEST_DIRNAME/sealed.py" open "$fd"
			is "$output" "$sum"
			n=$((n + 1))
			;;
		esac
	done
	[ $n -ge 1 ] || fail "QEMU has no descriptor of the template"
	run -0 caisson exec user echo alive
	is "$(python3 "$BATS_TEST_DIRNAME/sealed.py" sum "$TEMPLATES/$NAME")" "$sum"
}

@test "clones leave file and memory as they were" {
	put_whole
	local i pids= file memory
	caisson run -d --name user "$IMAGE" sleep 1000 > /dev/null
	file=$(sha256sum < "$TEMPLATES/$NAME")
	memory=$(python3 "$BATS_TEST_DIRNAME/sealed.py" hold "$CAISSON_RUN/template/$NAME.sock")
	for i in $(seq 10); do
		"$CAISSON" run --rm "$IMAGE" sh -c 'dd if=/dev/urandom of=/dev/shm/x bs=1M count=30 2> /dev/null; sync; echo $(cksum < /dev/shm/x)' > /dev/null &
		pids+=" $!"
	done
	for i in $pids; do wait "$i"; done
	is "$(python3 "$BATS_TEST_DIRNAME/sealed.py" hold "$CAISSON_RUN/template/$NAME.sock")" "$memory"
	is "$(sha256sum < "$TEMPLATES/$NAME")" "$file"
}

@test "audit: what clones share is told and does not count" {
	put_whole
	caisson run -d --name one "$IMAGE" sleep 1000 > /dev/null
	caisson run -d --name two "$IMAGE" sleep 1000 > /dev/null
	run -0 --separate-stderr caisson audit --require no-shared-memory one
	has "$output" 'its template'
	run -0 --separate-stderr caisson audit --format json one
	matches "$output" '[0-9]+ kB of the template that its virtual machine was cloned from are shared with other clones'
}

@test "holder and directory: for root only" {
	put_whole
	caisson run -d --name user "$IMAGE" sleep 1000 > /dev/null
	is "$(stat -c %a "$TEMPLATES" "$TEMPLATES/$NAME" "$TEMPLATES/$NAME.disk" "$CAISSON_RUN/template" "$CAISSON_RUN/template/$NAME.sock" | tr '\n' ' ')" '700 600 600 700 600 '
	local pid status
	pid=$(holder)
	status=$(cat "/proc/$pid/status")
	matches "$status" $'Uid:\t65534\t65534\t65534\t65534\n'
	matches "$status" $'CapEff:\t0+\n'
	matches "$status" $'NoNewPrivs:\t1'
	is "$(stat -c %u "/proc/$pid/mem")" 0 # not dumpable: nobody may look into it
	run -0 sh -c "ls -l /proc/$pid/fd | awk '{ print \$NF }' | grep '^/[^d]'"
	is "$output" "$CAISSON_RUN/template/$NAME.lock"
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
	eventually 10 no_holder
}
