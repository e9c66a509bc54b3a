# The engine under races, kills at every system call, a full disk and damaged files: nothing is left, and what is told is true.
load lib

teardown() {
	[ -z "${MOUNTED:-}" ] || umount -l "$MOUNTED"
	remove_all
	assert_nothing_left
}

# kill_at N COMMAND...: runs it, killed at its Nth system call
kill_at() {
	local n=$1
	shift
	timeout 30 strace -o /dev/null -e inject=all:signal=KILL:when="$n" -- "$@" > /dev/null 2>&1 < /dev/null
}

# killed_everywhere STEP PREPARE COMMAND...: killed at every STEPth system call until it gets through
killed_everywhere() {
	local step=$1 prepare=$2 n status
	shift 2
	for ((n = 1; n < 2000; n += step)); do
		$prepare
		status=0
		kill_at $n "$@" 2> /dev/null || status=$?
		caisson ps -a > /dev/null || fail "ps after a kill at system call $n"
		remember_ids
		caisson ps -aq | xargs -r "$CAISSON" rm -f -v > /dev/null || fail "rm after a kill at system call $n"
		# the next creation and removal sweep
		caisson create --name next "$IMAGE" true > /dev/null
		caisson rm next > /dev/null
		eventually 5 eval '[ -z "$(strays)" ]' || fail "after a kill at system call $n:" "$(strays)"
		[ $status != 0 ] || return 0
		[ $status = 137 ] || fail "at system call $n: status $status of $*"
	done
	fail "never got through: $*"
}

a_container() { caisson create --name victim -v /data "$IMAGE" sleep 1000 > /dev/null; }
a_running_container() { caisson run -d --rm --name victim -v /data "$IMAGE" sleep 1000 > /dev/null; }

@test "create killed at system calls of all its life leaves nothing behind" {
	requires strace
	killed_everywhere 9 true "$CAISSON" create --name killed -v /data "$IMAGE" true
}

@test "rm killed at system calls of all its life leaves nothing behind" {
	requires strace
	killed_everywhere 9 a_container "$CAISSON" rm -v victim
}

@test "run --rm killed at system calls of all its life leaves nothing behind" {
	requires strace
	skip_in hyperv "a boot for each kill takes too long; create and rm are the same code"
	killed_everywhere 17 true "$CAISSON" run --rm --name killed -v /data "$IMAGE" true
}

@test "rm -f of a running container killed at system calls of all its life leaves nothing behind" {
	requires strace
	skip_in hyperv "a boot for each kill takes too long"
	killed_everywhere 17 a_running_container "$CAISSON" rm -f victim
}

@test "many containers created under one name: one is made" {
	local i pids=
	for i in $(seq 20); do
		("$CAISSON" create --name same "$IMAGE" true > "$BATS_TEST_TMPDIR/out.$i" 2> "$BATS_TEST_TMPDIR/err.$i" || true) &
		pids+=" $!"
	done
	wait $pids
	is "$(cat "$BATS_TEST_TMPDIR"/out.* | wc -l)" 1
	is "$(grep -l 'The container name "/same" is already in use by container' "$BATS_TEST_TMPDIR"/err.* | wc -l)" 19
}

@test "many run --rm at once" {
	local i n pids=
	n=$([ "$MODE" = process ] && echo 30 || echo 4)
	for i in $(seq "$n"); do
		("$CAISSON" run --rm "$IMAGE" echo "out $i" > "$BATS_TEST_TMPDIR/out.$i" 2>&1 || echo failed >> "$BATS_TEST_TMPDIR/out.$i") &
		pids+=" $!"
	done
	wait $pids
	is "$(sort -u "$BATS_TEST_TMPDIR"/out.* | grep -cx 'out [0-9]*')" "$n"
	is "$(cat "$BATS_TEST_TMPDIR"/out.* | wc -l)" "$n"
}

@test "several starts of one container at once all succeed" {
	local i pids=
	caisson create --name started "$IMAGE" sleep 1000 > /dev/null
	for i in $(seq 5); do
		("$CAISSON" start started > /dev/null 2> "$BATS_TEST_TMPDIR/err.$i" || echo failed >> "$BATS_TEST_TMPDIR/err.$i") &
		pids+=" $!"
	done
	wait $pids
	is "$(cat "$BATS_TEST_TMPDIR"/err.*)" ""
	status_is started running
}

@test "start, exec, rename and rm -f of one container at once end in its removal" {
	local i verb pids=
	caisson create --name mixed "$IMAGE" sleep 1000 > /dev/null
	remember_ids
	for i in 1 2 3; do
		for verb in 'start mixed' 'exec mixed true' 'rename mixed other' 'rename other mixed' 'stop -t 0 mixed' 'wait mixed'; do
			(timeout 60 "$CAISSON" $verb > /dev/null 2>&1 || true) &
			pids+=" $!"
		done
	done
	for i in mixed other; do (timeout 60 "$CAISSON" rm -f $i > /dev/null 2>&1 || true) & pids+=" $!"; done
	wait_or_remove() {
		local left
		left=$(caisson ps -aq)
		[ -z "$left" ] || caisson rm -f $left > /dev/null
	}
	sleep 1
	wait_or_remove
	wait $pids
	wait_or_remove
	is "$(caisson ps -aq)" ""
}

@test "wait straight after start tells of this run, however short" {
	local i
	caisson create --name brief "$IMAGE" sh -c 'exit 3' > /dev/null
	for i in $(seq "$([ "$MODE" = process ] && echo 40 || echo 2)"); do
		caisson start brief > /dev/null
		is "$(caisson wait brief)" 3
	done
}

@test "start again while the network namespace of the last run is still there" {
	local namespace
	skip_in hyperv "its interfaces end with QEMU"
	caisson run -d --name again "$IMAGE" sleep 1000 > /dev/null
	exec {namespace}< "/proc/$(field again .State.Pid)/ns/net"
	caisson kill again > /dev/null
	caisson wait again > /dev/null
	run -0 caisson start again
	exec {namespace}<&-
	run -0 caisson exec again ip -4 address show dev eth0
	has "$output" "inet $(field again .NetworkSettings.Networks.bridge.IPAddress)/"
}

@test "logs -f of a container that is just ending has its last line" {
	local i
	for i in $(seq "$([ "$MODE" = process ] && echo 20 || echo 2)"); do
		caisson run -d --name brief "$IMAGE" sh -c "echo one; sleep 0.0$((i % 6)); echo last" > /dev/null
		is "$(timeout 20 "$CAISSON" logs -f brief)" $'one\nlast'
		caisson rm -f brief > /dev/null
	done
}

@test "logs -f --until ends in time though nothing is written" {
	caisson run -d --name quiet "$IMAGE" sleep 1000 > /dev/null
	run -0 timeout 20 "$CAISSON" logs -f --until "$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)" quiet
}

@test "an exec that leaves a writer behind ends, and the container can be used" {
	caisson run -d --name writer "$IMAGE" sleep 1000 > /dev/null
	run -0 timeout 20 bash -c '"$1" exec writer sh -c "yes & sleep 0.2" | tail -n 1' - "$CAISSON"
	is "$output" y
	run -0 timeout 20 "$CAISSON" exec writer echo works
	is "$output" works
}

@test "the most impatient of several stops counts" {
	caisson run -d --name stubborn "$IMAGE" sh -c 'trap "" TERM; while :; do sleep 0.2; done' > /dev/null
	sleep 0.3
	"$CAISSON" stop -t 60 stubborn > /dev/null &
	local patient=$!
	sleep 0.3
	run -0 timeout 20 "$CAISSON" stop -t 1 stubborn
	wait $patient
	status_is stubborn exited
}

@test "run whose monitor is killed says so, and the record follows" {
	"$CAISSON" run --name widow "$IMAGE" sleep 1000 > /dev/null 2> "$BATS_TEST_TMPDIR/err" &
	local client=$!
	eventually 20 status_is widow running
	kill -9 "$(monitor_of widow)"
	status=0
	wait $client || status=$?
	is "$status" 125
	has "$(cat "$BATS_TEST_TMPDIR/err")" "the container's monitor has gone"
	is "$(sqlite_value "SELECT status FROM containers WHERE name = 'widow'")" 2
	is "$(field widow .State.ExitCode)" 255
}

sqlite_value() {
	python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])' "$CAISSON_ROOT/db.sqlite" "$1"
}

sqlite_do() {
	python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.create_function("mirror", 3, lambda *row: None); c.execute(sys.argv[2]); c.commit()' "$CAISSON_ROOT/db.sqlite" "$1"
}

@test "a damaged record: the other containers are listed, and rm -f removes it" {
	local text
	for text in '{broken' '{}' '[]' 'null' '{"Config": 3, "HostConfig": []}'; do
		caisson create --name broken "$IMAGE" true > /dev/null
		caisson create --name whole "$IMAGE" true > /dev/null
		sqlite_do "UPDATE containers SET record = '$text' WHERE name = 'broken'"
		run -0 caisson ps -a --format '{{.Names}} {{.Status}}'
		has "$output" 'whole Created'
		has "$output" 'broken Dead'
		run -1 --separate-stderr caisson start broken
		has "$stderr" 'container broken: its record is damaged'
		run -0 caisson rm -f broken whole
	done
}

@test "a damaged state file: the container can be used, ended and removed" {
	local text
	caisson run -d --name dim "$IMAGE" sleep 1000 > /dev/null
	for text in '' garbage 'phase=2 monitor=1'; do
		printf %s "$text" > "$CAISSON_RUN/containers/$(id_of dim)/state"
		status_is dim running
		run -0 caisson exec dim echo works
	done
	run -0 timeout 30 "$CAISSON" rm -f dim
}

@test "a log that was cut off: the damage is told, and the next run starts on a line of its own" {
	caisson run --name cut "$IMAGE" sh -c 'echo one; echo two' > /dev/null
	local log
	log=$CAISSON_ROOT/containers/$(id_of cut)/$(id_of cut)-json.log
	truncate -s -20 "$log"
	run -0 caisson logs cut
	is "$output" one
	caisson start -a cut > /dev/null
	run -1 --separate-stderr caisson logs cut
	is "$output" $'one\none\ntwo'
	has "$stderr" '1 damaged lines of its log are left out'
}

@test "a database that is none: an error that names it" {
	local root=$BATS_TEST_TMPDIR/root
	mkdir "$root"
	head -c 8192 /dev/urandom > "$root/db.sqlite"
	run -1 "$CAISSON" --root "$root" ps
	has "$output" "database $root/db.sqlite is damaged"
}

@test "a full disk: errors that say so, true states, and containers can be removed" {
	skip_in hyperv "the disk of a container in a VM does not fit; the engine's part is the same"
	MOUNTED=$BATS_TEST_TMPDIR/small
	mkdir "$MOUNTED"
	mount -t tmpfs -o size=16m none "$MOUNTED"
	small() { "$CAISSON" --root "$MOUNTED" --run "$BATS_TEST_TMPDIR/run" "$@"; }
	small pull -q "$IMAGE" > /dev/null
	small create --name brief "$IMAGE" sh -c 'exit 6' > /dev/null
	small run -d --name long "$IMAGE" sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done' > /dev/null
	dd if=/dev/zero of="$MOUNTED/fill" bs=1k 2> /dev/null || true
	run -6 small start -a brief
	is "$(small inspect -f '{{.State.Status}} {{.State.ExitCode}}' brief)" 'exited 6'
	run -0 small stop long
	is "$(small inspect -f '{{.State.Status}} {{.State.ExitCode}}' long)" 'exited 9'
	tar -c -C / usr/share > "$BATS_TEST_TMPDIR/big.tar" 2> /dev/null || true
	run -1 small import "$BATS_TEST_TMPDIR/big.tar"
	has "$output" 'No space left on device'
	run small rm brief long
	is "$status $output" $'0 brief\nlong'
	rm "$MOUNTED/fill"
	run -0 small run --rm "$IMAGE" echo works
	is "$output" works
	is "$(ls "$MOUNTED/containers")" ""
}
