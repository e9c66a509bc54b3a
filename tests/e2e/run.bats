# Containers from create to rm: commands, their output and exit codes, stdio, signals.
load lib

@test "run: output, error output and exit code" {
	run --separate-stderr -7 caisson run --rm "$IMAGE" sh -c 'echo out; echo err >&2; exit 7'
	is "$output" out
	is "$stderr" err
}

@test "run: stdin to its end" {
	run -0 --separate-stderr caisson run --rm -i "$IMAGE" sh -c 'read a; read b; echo "$b $a"; cat' <<< $'one\ntwo\nthree'
	is "$output" $'two one\nthree'
}

@test "run without -i: stdin is empty" {
	run -0 --separate-stderr caisson run --rm "$IMAGE" wc -c <<< data
	is "$output" 0
}

@test "run: the image's command, arguments instead of it" {
	run -0 --separate-stderr caisson run --rm "$IMAGES/entrypoint"
	is "$output" 'entry cmd two words'
	run -0 --separate-stderr caisson run --rm "$IMAGES/entrypoint" other
	is "$output" 'entry other'
}

@test "run --entrypoint leaves the image's command out" {
	run -0 --separate-stderr caisson run --rm --entrypoint id "$IMAGES/entrypoint" -u
	is "$output" 0
}

@test "run -e, -w, --hostname, --user in one" {
	run -0 --separate-stderr env FROM_HOST=yes "$CAISSON" run --rm -e A=1 -e 'B=two words' -e FROM_HOST -e NOT_SET -w /new/dir --hostname there \
		--user app "$IMAGE" sh -c 'echo "$A|$B|$FROM_HOST|${NOT_SET-unset}|$PWD|$(hostname)|$(id -un)|$HOME"'
	is "$output" '1|two words|yes|unset|/new/dir|there|app|/home/app'
}

@test "the image's environment, user, directory and volume hold" {
	run -0 --separate-stderr caisson run --rm "$IMAGES/config" sh -c 'echo "$COLOUR|${EMPTY-unset}|$SPACED|$PWD|$(id -u):$(id -g)"; cat /data/seed; stat -c "%u:%g %a" /data'
	is "$output" $'blue||two words|/work/deep|1000:1000\nfrom the image\n1000:1234 750'
}

@test "the default hostname is the short id" {
	run -0 --separate-stderr caisson create "$IMAGE" hostname
	local id=$output
	run -0 --separate-stderr caisson start -a "$id"
	is "$output" "${id:0:12}"
	caisson rm "$id"
}

@test "exit code 128+n after a signal, 127 and 126 for what cannot be run" {
	run -137 --separate-stderr caisson run --rm --init "$IMAGE" sh -c 'kill -KILL $$'
	run -127 --separate-stderr caisson run --rm "$IMAGE" nowhere
	has "$stderr" 'nowhere'
	run -126 --separate-stderr caisson run --rm "$IMAGE" /etc/not-executable
	has "$stderr" '/etc/not-executable'
	run -126 --separate-stderr caisson run --rm "$IMAGE" /etc
	assert_nothing_left
}

@test "a script with an interpreter runs, one without is an error" {
	run -0 --separate-stderr caisson run --rm "$IMAGE" script a b
	is "$output" 'script a b'
	run -127 --separate-stderr caisson run --rm "$IMAGE" /bin/no-interpreter
}

@test "run -d prints the id; ps, logs, wait, rm" {
	run -0 --separate-stderr caisson run -d --name first --label kind=test "$IMAGE" sh -c 'echo one; echo two >&2; sleep 1; exit 3'
	matches "$output" '^[0-9a-f]{64}$'
	local id=$output
	run -0 --separate-stderr caisson ps --filter name=first --format '{{.ID}} {{.Names}} {{.Image}} {{.Command}}'
	has "$output" "${id:0:12} first $IMAGE"
	run -0 --separate-stderr caisson wait first
	is "$output" 3
	run -0 --separate-stderr caisson logs first
	is "$output" one
	is "$stderr" two
	run -0 --separate-stderr caisson ps -a --filter name=first --format '{{.Status}}'
	matches "$output" '^Exited \(3\) .* ago$'
	is "$(field first .State.ExitCode)" 3
	run -0 --separate-stderr caisson rm first
	is "$output" first
	run -1 --separate-stderr caisson inspect first
	has "$stderr" first
}

@test "logs -f ends with the container, --tail counts lines" {
	caisson run -d --name talk "$IMAGE" sh -c 'for i in 1 2 3 4 5; do echo $i; sleep 0.2; done'
	run -0 --separate-stderr timeout 60 "$CAISSON" logs -f talk
	is "$output" $'1\n2\n3\n4\n5'
	run -0 --separate-stderr caisson logs --tail 2 talk
	is "$output" $'4\n5'
	caisson rm talk
}

@test "create, start -a, start -a -i, and start again keep the writable layer" {
	caisson create --name again -i "$IMAGE" sh -c 'cat >> /kept; echo "x$(cat /kept)"'
	run -0 --separate-stderr caisson start -a -i again <<< one
	is "$output" xone
	run -0 --separate-stderr caisson start -ai again <<< two
	is "$output" $'xone\ntwo'
	caisson rm again
}

@test "stop sends SIGTERM, then SIGKILL; stop of a stopped one is fine" {
	caisson run -d --name polite "$IMAGE" sh -c 'trap "echo term; exit 5" TERM; while :; do sleep 0.1; done'
	sleep 0.5
	run -0 --separate-stderr caisson stop polite
	is "$(field polite .State.ExitCode)" 5
	run -0 --separate-stderr caisson logs polite
	is "$output" term
	run -0 caisson stop polite
	caisson run -d --name deaf "$IMAGE" sh -c 'trap "" TERM; while :; do sleep 0.1; done'
	run -0 --separate-stderr caisson stop -t 1 deaf
	is "$(field deaf .State.ExitCode)" 137
	caisson rm polite deaf
}

@test "the image's stop signal is the one that stop sends" {
	caisson run -d --name usr "$IMAGES/config" sh -c 'trap "echo usr1; exit 6" USR1; while :; do sleep 0.1; done'
	sleep 0.5
	caisson stop usr
	is "$(field usr .State.ExitCode)" 6
	caisson rm usr
}

@test "kill: by name and number, every signal arrives" {
	caisson run -d --name signals "$IMAGE" sh -c 'for s in HUP INT QUIT USR1 USR2 ALRM TERM CONT WINCH; do trap "echo $s" $s; done; trap "echo 34; exit 9" 34 2> /dev/null; echo ready; while :; do sleep 0.05; done'
	eventually 10 sh -c "$CAISSON logs signals | grep -q ready"
	for s in HUP INT SIGQUIT usr1 12 ALRM 15 CONT WINCH; do
		caisson kill -s "$s" signals
		sleep 0.3
	done
	run -0 --separate-stderr caisson logs signals
	is "$output" $'ready\nHUP\nINT\nQUIT\nUSR1\nUSR2\nALRM\nTERM\nCONT\nWINCH'
	caisson kill signals
	run -0 caisson wait signals
	is "$(field signals .State.ExitCode)" 137
	run -1 --separate-stderr caisson kill signals
	has "$stderr" 'not running'
	caisson rm signals
}

@test "SIGTERM and SIGINT of the command reach the container" {
	"$CAISSON" run --name proxy "$IMAGE" sh -c 'trap "exit 4" TERM; echo up; while :; do sleep 0.05; done' > "$BATS_TEST_TMPDIR/out" &
	local pid=$!
	eventually 20 grep -q up "$BATS_TEST_TMPDIR/out"
	kill -TERM $pid
	ends_with 4 $pid
	caisson rm proxy
}

@test "exec: stdio, exit code, environment, directory, user" {
	box -e FROM_RUN=1
	run -3 --separate-stderr caisson exec box sh -c 'echo out; echo err >&2; exit 3'
	is "$output" out
	is "$stderr" err
	run -0 --separate-stderr caisson exec -i box cat <<< input
	is "$output" input
	run -0 --separate-stderr caisson exec -e MORE=2 -w /tmp -u app box sh -c 'echo "$FROM_RUN $MORE $PWD $(id -un)"'
	is "$output" '1 2 /tmp app'
	run -127 --separate-stderr caisson exec box nowhere
	has "$stderr" nowhere
	run -126 --separate-stderr caisson exec box /etc/not-executable
}

@test "exec -d runs on; exec in a stopped or missing container is an error" {
	box
	run -0 caisson exec -d box sh -c 'sleep 0.3; echo done > /exec-done'
	eventually 10 in_box test -s /exec-done
	caisson create --name still "$IMAGE" true
	run -1 --separate-stderr caisson exec still true
	has "$stderr" 'not running'
	caisson rm still
	run -1 --separate-stderr caisson exec nosuch true
	has "$stderr" 'No such container: nosuch'
}

@test "a terminal: size, resize, echo, the exit code" {
	run -7 "$BATS_TEST_DIRNAME/terminal.py" 24x80 'expect:# ' 'send:stty size\n' 'expect:24 80' 'resize:40x100' 'sleep:1' 'send:stty size\n' 'expect:40 100' \
		'send:tty; exit 7\n' -- "$CAISSON" run --rm -it "$IMAGE" sh
	has "$output" /dev/pts/0
}

@test "a terminal: control keys make signals" {
	run -0 "$BATS_TEST_DIRNAME/terminal.py" 24x80 'expect:ready' 'sleep:0.5' 'send:\x03' 'expect:interrupted' -- \
		"$CAISSON" run --rm -it "$IMAGE" sh -c 'trap "echo interrupted; exit 0" INT; echo ready; while :; do sleep 0.1; done'
}

@test "exec -it has a terminal of its own" {
	box
	run -0 "$BATS_TEST_DIRNAME/terminal.py" 30x90 'expect:# ' 'send:stty size\n' 'expect:30 90' 'resize:31x91' 'sleep:1' 'send:stty size\n' 'expect:31 91' \
		'send:exit\n' -- "$CAISSON" exec -it box sh
}

@test "ctrl-p ctrl-q detaches, attach comes back" {
	run -0 "$BATS_TEST_DIRNAME/terminal.py" 24x80 'expect:# ' 'send:A=kept\n' 'expect:# ' 'send:\x10\x11' -- "$CAISSON" run -it --name detached "$IMAGE" sh
	status_is detached running
	run -0 "$BATS_TEST_DIRNAME/terminal.py" 24x80 'sleep:0.5' 'send:echo "is $A"\n' 'expect:is kept' 'send:exit\n' -- "$CAISSON" attach detached
	run -0 caisson wait detached
	caisson rm detached
}

@test "attach gets the output from then on, and the exit code" {
	caisson run -d -i --name att "$IMAGE" sh -c 'read x; echo "got $x"; exit 8'
	run -8 --separate-stderr caisson attach att <<< hello
	is "$output" 'got hello'
	caisson rm att
}

@test "ps: columns, -a, -q, -l, --no-trunc, filters" {
	box
	caisson create --name made "$IMAGE" true > /dev/null
	run -0 --separate-stderr caisson ps
	matches "${lines[0]}" '^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES +ISOLATION *$'
	has "$output" box
	hasnt "$output" made
	run -0 --separate-stderr caisson ps -a
	has "$output" made
	run -0 --separate-stderr caisson ps -q --no-trunc --filter name=box
	is "$output" "$(id_of box)"
	run -0 --separate-stderr caisson ps -a --filter status=created --format '{{.Names}}'
	is "$output" made
	run -0 --separate-stderr caisson ps --filter "isolation=$MODE" --format '{{.Names}}'
	has "$output" box
	run -0 --separate-stderr caisson ps --filter "isolation=$([ "$MODE" = process ] && echo hyperv || echo process)" -q
	is "$output" ''
	run -0 --separate-stderr caisson ps -a --filter name=box --format json
	has "$output" '"Names":"box"'
	caisson rm made
}

@test "top shows the container's processes" {
	box
	run -0 --separate-stderr caisson top box
	matches "${lines[0]}" 'PID'
	has "$output" 'sleep 100000'
	run -0 --separate-stderr caisson top box -o pid,comm
	matches "${lines[1]}" '^[0-9]+ +sleep$'
	run -1 --separate-stderr caisson top box -o comm
	is "$stderr" "caisson: Couldn't find PID field in ps output"
}

@test "inspect: fields, json, several, a missing one" {
	box
	is "$(field box .State.Running)" true
	is "$(field box .HostConfig.Isolation)" "$MODE"
	is "$(field box .Name)" /box
	is "$(field box 'json .Config.Cmd')" '["sleep","100000"]'
	run -0 --separate-stderr sh -c "'$CAISSON' inspect box | python3 -c 'import json, sys; print(json.load(sys.stdin)[0][\"State\"][\"Status\"])'"
	is "$output" running
	run -1 --separate-stderr caisson inspect --format '{{.Name}}' box nosuch
	has "$output" /box
	has "$stderr" nosuch
}

@test "names: taken ones, bad ones, generated ones, by prefix of the id" {
	box
	run -125 --separate-stderr caisson run --name box "$IMAGE" true
	has "$stderr" box
	run -125 --separate-stderr caisson run --name 'bad name' "$IMAGE" true
	has "$stderr" 'bad name'
	local id
	id=$(caisson create "$IMAGE" true)
	matches "$(field "$id" .Name)" '^/[a-z]+_[a-z]+[0-9]*$'
	run -0 --separate-stderr caisson rm "${id:0:12}"
	is "$output" "${id:0:12}"
}

@test "run --init reaps children and forwards signals" {
	run -0 --separate-stderr caisson run --rm --init "$IMAGE" sh -c 'cat /proc/1/comm; (sleep 0.1 &) ; sleep 0.5; ps | grep -c "\[sleep\]" || true'
	hasnt "${lines[0]}" sh
	is "${lines[1]}" 0
	caisson run -d --init --name inited "$IMAGE" sh -c 'trap "exit 11" TERM; while :; do sleep 0.1; done'
	sleep 0.5
	caisson stop inited
	is "$(field inited .State.ExitCode)" 11
	caisson rm inited
}

@test "rm refuses a running container, rm -f does not" {
	caisson run -d --name busy "$IMAGE" sleep 1000
	run -1 --separate-stderr caisson rm busy
	has "$stderr" running
	run -0 caisson rm -f busy
	run -1 --separate-stderr caisson rm busy
	has "$stderr" 'No such container: busy'
}

@test "run --rm leaves no container, start of a running one is fine" {
	local before
	before=$(caisson ps -aq | wc -l)
	caisson run --rm "$IMAGE" true
	is "$(caisson ps -aq | wc -l)" "$before"
	box
	run -0 caisson start box
}

@test "two at once, each with its own output" {
	"$CAISSON" run --rm "$IMAGE" sh -c 'sleep 0.5; echo a' > "$BATS_TEST_TMPDIR/a" &
	local a=$!
	"$CAISSON" run --rm "$IMAGE" sh -c 'sleep 0.5; echo b' > "$BATS_TEST_TMPDIR/b" &
	local b=$!
	wait $a
	wait $b
	is "$(cat "$BATS_TEST_TMPDIR/a")$(cat "$BATS_TEST_TMPDIR/b")" ab
}

@test "stats and container subcommands" {
	box
	run -0 --separate-stderr caisson container ls --format '{{.Names}}'
	is "$output" box
	run -0 --separate-stderr caisson stats --no-stream --format '{{.Name}} {{.PIDs}}' box
	matches "$output" '^box [0-9]+$'
}

@test "stats: what the workload uses, and what it costs the host" {
	box
	run -0 --separate-stderr caisson stats --no-stream box
	matches "${lines[0]}" '^CONTAINER ID +NAME +CPU % +MEM USAGE / LIMIT +MEM % +NET I/O +BLOCK I/O +PIDS +HOST MEM$'
	run -0 --separate-stderr caisson stats --no-stream --format '{{.MemUsage}} {{.HostMem}}' box
	matches "$output" '^([0-9.]+)([KM]iB) / [^ ]+ ([0-9.]+)([KM]iB)$'
	# the memory of a virtual machine is more than what its workload uses of it
	[ "$MODE" = hyperv ] || is "${BASH_REMATCH[1]}${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}${BASH_REMATCH[4]}"
	[ "$MODE" = process ] || is "${BASH_REMATCH[4]}" MiB
	run -0 --separate-stderr caisson stats --no-stream --format json box
	matches "$output" '"HostMem": ?"[0-9.]+[KM]iB"'
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
