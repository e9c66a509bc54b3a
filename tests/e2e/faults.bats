# Anything may be killed at any point: the next command finds a true state, the container can be started again, nothing is left.
load lib

teardown() {
	remove_all
	assert_nothing_left
}

up() { # up NAME [OPTIONS...]
	local name=$1
	shift
	caisson run -d --name "$name" "$@" "$IMAGE" sh -c 'echo up; trap "exit 0" TERM; while :; do sleep 0.2; done' > /dev/null
}

restarts() { # restarts NAME: it can be started, used and stopped
	run -0 caisson start "$1"
	run -0 caisson exec "$1" echo works
	is "$output" works
	run -0 caisson stop -t 10 "$1"
	status_is "$1" exited
}

@test "the command killed while the container runs: it goes on" {
	"$CAISSON" run --name orphan "$IMAGE" sh -c 'echo up; sleep 2; echo after; exit 5' > "$BATS_TEST_TMPDIR/out" &
	local client=$!
	eventually 20 grep -q up "$BATS_TEST_TMPDIR/out"
	kill -9 $client
	run -0 --separate-stderr caisson wait orphan
	is "$output" 5
	run -0 --separate-stderr caisson logs orphan
	is "$output" $'up\nafter'
}

@test "the command killed while the container starts: it ends up running, exited or created, and can be started" {
	local delay
	for delay in 0.005 0.02 0.05 0.2 1; do
		[ "$MODE" = hyperv ] || [ "$delay" != 1 ] || continue
		caisson create --name starter "$IMAGE" sh -c 'trap "exit 0" TERM; while :; do sleep 0.2; done' > /dev/null
		"$CAISSON" start starter &
		local client=$!
		sleep $delay
		kill -9 $client 2> /dev/null || true
		wait $client 2> /dev/null || true
		settled() { status_is starter running || status_is starter created || status_is starter exited; }
		eventually 10 settled
		# a start that goes on may still come to its end
		sleep 0.5
		run caisson start starter
		eventually 20 status_is starter running
		run -0 caisson exec starter echo works
		run -0 caisson rm -f starter
	done
}

@test "the monitor killed: the container is exited (255 or 137) and nothing of it runs" {
	up widow
	local monitor children
	monitor=$(monitor_of widow)
	children=$(descendants "$monitor")
	[ -n "$children" ]
	kill -9 "$monitor"
	eventually 5 status_is widow exited
	for pid in $children; do eventually 5 gone "$pid"; done
	matches "$(field widow .State.ExitCode)" '^(255|137)$'
	run -1 caisson exec widow true
	restarts widow
}

@test "the monitor of a run --rm killed: the container goes" {
	caisson run -d --rm --name removed "$IMAGE" sleep 1000
	kill -9 "$(monitor_of removed)"
	missing() { ! caisson inspect removed; }
	eventually 5 missing
}

@test "the monitor killed while a client waits: the client ends" {
	up waiting
	"$CAISSON" wait waiting > /dev/null 2>&1 &
	local waiter=$!
	"$CAISSON" attach waiting > /dev/null 2>&1 < /dev/null &
	local attached=$!
	sleep 0.5
	kill -9 "$(monitor_of waiting)"
	eventually 5 gone $waiter
	eventually 5 gone $attached
	eventually 5 status_is waiting exited
}

@test "the monitor killed while the container starts or stops" {
	local delay monitor
	for delay in 0.01 0.05 0.3 1.5; do
		[ "$MODE" = hyperv ] || [ "$delay" != 1.5 ] || continue
		caisson create --name starting "$IMAGE" sleep 1000 > /dev/null
		"$CAISSON" start starting > /dev/null 2>&1 &
		local client=$!
		sleep $delay
		! monitor=$(monitor_of starting) || ! kill -9 "$monitor" || eventually 5 gone "$monitor"
		eventually 20 gone $client
		wait $client || true
		! status_is starting running || { kill -9 "$(monitor_of starting)"; eventually 5 status_is starting exited; }
		run -0 caisson rm -f starting
	done
	caisson run -d --name stopping "$IMAGE" sh -c 'trap "" TERM; while :; do sleep 0.2; done'
	"$CAISSON" stop -t 30 stopping > /dev/null 2>&1 &
	local stopper=$!
	sleep 0.5
	kill -9 "$(monitor_of stopping)"
	eventually 5 gone $stopper
	eventually 5 status_is stopping exited
}

@test "the workload killed from outside, and from inside by another process" {
	skip_in hyperv "no process of the container is on the host"
	up slain
	kill -9 "$(field slain .State.Pid)"
	eventually 5 status_is slain exited
	is "$(field slain .State.ExitCode)" 137
	restarts slain
}

@test "an exec killed from outside leaves the container running" {
	skip_in hyperv "no process of the container is on the host"
	up execs
	"$CAISSON" exec execs sleep 1234 &
	local client=$! pid
	find_it() { pid=$(grep -lzsx sleep /proc/[0-9]*/cmdline | cut -d / -f 3 | while read -r p; do ! grep -qzx 1234 /proc/$p/cmdline || echo $p; done | head -n 1) && [ -n "$pid" ]; }
	eventually 5 find_it
	kill -9 "$pid"
	ends_with 137 $client
	status_is execs running
}

@test "the client of an exec killed: the container goes on" {
	up clients
	"$CAISSON" exec clients sleep 1000 &
	local client=$!
	sleep 0.5
	kill -9 $client
	run -0 timeout 20 "$CAISSON" exec clients echo works
	is "$output" works
	status_is clients running
}

@test "rm killed at any point: the container can be removed" {
	local delay
	for delay in 0.001 0.005 0.01 0.03; do
		up doomed
		"$CAISSON" rm -f doomed > /dev/null 2>&1 &
		local client=$!
		sleep $delay
		kill -9 $client 2> /dev/null || true
		wait $client 2> /dev/null || true
		! caisson inspect doomed > /dev/null 2>&1 || caisson rm -f doomed
		run -1 caisson inspect doomed
	done
}

@test "create and run killed at any point leave only what rm removes" {
	local delay
	for delay in 0.002 0.005 0.01 0.02 0.05; do
		"$CAISSON" create "$IMAGE" true > /dev/null 2>&1 &
		local client=$!
		sleep $delay
		kill -9 $client 2> /dev/null || true
		wait $client 2> /dev/null || true
	done
	run -0 caisson ps -a
	for delay in 0.01 0.05 0.1; do
		"$CAISSON" run --rm "$IMAGE" sleep 0.1 > /dev/null 2>&1 &
		local client=$!
		sleep $delay
		kill -9 $client 2> /dev/null || true
		wait $client 2> /dev/null || true
	done
	none_running() { [ -z "$(caisson ps -q)" ]; }
	eventually 15 none_running
}

@test "pull killed at any point: the next one works" {
	local delay
	for delay in 0.01 0.05 0.1 0.3; do
		setsid "$CAISSON" pull -q "$IMAGES/layers" > /dev/null 2>&1 &
		local client=$!
		sleep $delay
		kill -9 -- -$client 2> /dev/null || true
		wait $client 2> /dev/null || true
		caisson rmi "$IMAGES/layers" > /dev/null 2>&1 || true
	done
	run -0 --separate-stderr caisson run --rm "$IMAGES/layers" cat /a/replaced
	is "$output" new
	caisson rmi "$IMAGES/layers"
}

@test "a run directory that is gone, as after a reboot: exited, and it starts again" {
	up rebooted
	sleep 0.3
	kill -9 "$(monitor_of rebooted)"
	sleep 0.5
	rm -rf "$CAISSON_RUN/containers"
	status_is rebooted exited
	restarts rebooted
}

@test "QEMU killed: exited within 2 s, with the reason" {
	skip_in process "there is no QEMU"
	up qemued
	local qemu
	qemu=$(helpers_of qemued qemu)
	kill -9 "$qemu"
	eventually 2 status_is qemued exited
	[ -n "$(field qemued .State.Error)" ] || fail 'no reason in inspect'
	restarts qemued
}

@test "virtiofsd killed: exited, with the reason, nothing left" {
	skip_in process "there is no virtiofsd"
	mkdir "$BATS_TEST_TMPDIR/share"
	up shares -v "$BATS_TEST_TMPDIR/share:/mnt"
	local pids
	pids=$(helpers_of shares virtiofsd)
	[ -n "$pids" ]
	kill -9 $pids
	eventually 5 status_is shares exited
	[ -n "$(field shares .State.Error)" ] || fail 'no reason in inspect'
	restarts shares
}

@test "what a container wrote is there after a kill" {
	up writer
	run -0 caisson exec writer sh -c 'echo kept > /written'
	run -0 caisson kill writer
	run -0 caisson start writer
	run -0 caisson exec writer cat /written
	is "$output" kept
}
