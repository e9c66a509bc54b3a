# stdio is byte-exact and flows only as fast as it is read.
load lib

setup_file() {
	e2e_setup_file
	head -c 52428800 /dev/urandom > "$E2E_DIR/random"
}

@test "50 MB through stdin and stdout compare equal" {
	caisson run --rm -i "$IMAGE" cat < "$E2E_DIR/random" > "$E2E_DIR/back"
	cmp "$E2E_DIR/random" "$E2E_DIR/back"
}

@test "stdout and stderr at once, each exact" {
	caisson run --rm -i "$IMAGE" tee /dev/stderr < "$E2E_DIR/random" > "$E2E_DIR/out" 2> "$E2E_DIR/err"
	cmp "$E2E_DIR/random" "$E2E_DIR/out"
	cmp "$E2E_DIR/random" "$E2E_DIR/err"
}

@test "exec: 50 MB in, 50 MB out" {
	box
	caisson exec -i box cat < "$E2E_DIR/random" > "$E2E_DIR/back"
	cmp "$E2E_DIR/random" "$E2E_DIR/back"
}

@test "the last bytes before the exit are not lost" {
	for n in 1 2 3; do
		run -0 --separate-stderr caisson run --rm "$IMAGE" sh -c 'head -c 300000 /dev/zero | tr "\0" x; echo END'
		is "${#output}" 300003
		is "${output: -3}" END
	done
}

@test "a reader that goes away is a SIGPIPE or the end, not a hang" {
	run timeout 60 sh -c "'$CAISSON' run --rm '$IMAGE' yes | head -n 1"
	is "${lines[0]}" y
}

# Private memory of a process, in kB.
private_kb() { awk '/^Private_(Clean|Dirty):/ { n += $2 } END { print n + 0 }' "/proc/$1/smaps_rollup"; }

@test "a stalled stdout stalls the writer: memory stays bounded, exec and kill work meanwhile" {
	mkfifo "$E2E_DIR/pipe"
	exec 7<> "$E2E_DIR/pipe" # a reader that never reads
	"$CAISSON" run --name stalled "$IMAGE" sh -c 'dd if=/dev/zero bs=1M count=400 && echo done > /done' > "$E2E_DIR/pipe" 2> /dev/null 3>&- 7>&- &
	local client=$!
	eventually 20 status_is stalled running
	sleep 3
	local monitor kb
	monitor=$(monitor_of stalled)
	kb=$(private_kb "$monitor")
	[ "$kb" -lt 8192 ] || fail "the monitor has $kb kB of private memory"
	run -0 caisson exec stalled sh -c 'echo alive; [ -e /done ] || echo writer waits'
	is "$output" $'alive\nwriter waits'
	run -0 timeout 20 "$CAISSON" kill stalled
	eventually 10 status_is stalled exited
	exec 7>&-
	wait $client || true
	caisson rm stalled
}

@test "a stalled terminal: resize and kill work meanwhile" {
	mkfifo "$E2E_DIR/tty-pipe"
	exec 7<> "$E2E_DIR/tty-pipe"
	"$BATS_TEST_DIRNAME/terminal.py" 24x80 'sleep:4' 'hangup' -- sh -c "exec '$CAISSON' run -t --name ttystall '$IMAGE' sh -c 'dd if=/dev/zero bs=1M count=100' > '$E2E_DIR/tty-pipe'" > /dev/null 2>&1 3>&- 7>&- &
	local client=$!
	eventually 20 status_is ttystall running
	run -0 timeout 20 "$CAISSON" exec ttystall echo alive
	is "$output" alive
	run -0 timeout 20 "$CAISSON" kill ttystall
	eventually 10 status_is ttystall exited
	exec 7>&-
	wait $client || true
	caisson rm ttystall
}

@test "a stalled exec does not stop the others" {
	box
	mkfifo "$E2E_DIR/exec-pipe"
	exec 7<> "$E2E_DIR/exec-pipe"
	"$CAISSON" exec box dd if=/dev/zero bs=1M count=100 > "$E2E_DIR/exec-pipe" 2> /dev/null 3>&- 7>&- &
	local client=$!
	sleep 2
	run -0 timeout 20 "$CAISSON" exec box echo other
	is "$output" other
	kill -9 $client
	exec 7>&-
	wait $client 2> /dev/null || true
	run -0 timeout 20 "$CAISSON" exec box echo still
	is "$output" still
}

@test "input that nobody reads stalls the sender only" {
	caisson run -d -i --name mute "$IMAGE" sleep 1000
	timeout -s KILL 3 "$CAISSON" attach mute < "$E2E_DIR/random" > /dev/null 2>&1 || true
	local kb
	kb=$(private_kb "$(monitor_of mute)")
	[ "$kb" -lt 8192 ] || fail "the monitor has $kb kB of private memory"
	run -0 timeout 20 "$CAISSON" exec mute echo alive
	is "$output" alive
	caisson rm -f mute
}

@test "a monitor in process mode has at most 2 MB of private memory" {
	skip_in hyperv "the bound is for process mode"
	box
	sleep 0.5
	local kb
	kb=$(private_kb "$(monitor_of box)")
	[ "$kb" -le 2048 ] || fail "the monitor has $kb kB of private memory"
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
