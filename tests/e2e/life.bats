# A container's life beyond one run: restart policies, restart, health checks.
load lib

teardown() {
	[ -z "${MOUNTED:-}" ] || umount -l "$MOUNTED"
	remove_all
	assert_nothing_left
}

restarts_are() { [ "$(field "$1" .RestartCount)" -ge "$2" ]; }
text_of() { caisson ps -a --filter "name=$1" --format '{{.Status}}'; }

@test "on-failure:N starts again N times, each run on the same root and in the same log; the end is the last run's" {
	local n=2 expected=1,2,3
	[ "$MODE" = process ] || { n=1; expected=1,2; }
	caisson run -d --name failing --restart on-failure:$n "$IMAGE" sh -c 'echo run >> /runs; wc -l < /runs; exit 3' > /dev/null
	eventually 60 status_is failing exited
	is "$(caisson logs failing | tr -d ' ' | paste -sd,)" $expected
	is "$(field failing '.RestartCount') $(field failing .State.ExitCode) $(field failing .State.Restarting)" "$n 3 false"
	is "$(field failing '.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount')" on-failure:$n
	# an end in success is the end
	run -0 caisson run --restart on-failure --name fine "$IMAGE" true
	is "$(field fine .RestartCount)" 0
}

@test "while it waits to be started again: what is shown, what is refused, and stop, kill and rm -f at once" {
	caisson run -d --name again --restart always -p 18123:80 "$IMAGE" sh -c 'echo up; exit 1' > /dev/null
	eventually 60 restarts_are again 2
	eventually 20 status_is again restarting
	matches "$(text_of again)" '^Restarting \(1\) .* ago$'
	is "$(field again '.State.Status}} {{.State.Running}} {{.State.Restarting}} {{.State.Pid}} {{.State.ExitCode')" 'restarting true true 0 1'
	is "$(caisson ps -q --filter status=restarting | wc -l)" 1
	run -1 caisson exec again true
	has "$output" 'is restarting, wait until the container is running'
	run -1 caisson attach again
	has "$output" 'You cannot attach to a restarting container, wait until it is running'
	run -1 caisson rm again
	has "$output" 'You cannot remove a restarting container'
	caisson start again
	caisson stop again
	status_is again exited
	sleep 1
	status_is again exited
	caisson start again > /dev/null
	eventually 60 restarts_are again 1
	caisson kill again
	status_is again exited
	caisson start again > /dev/null
	eventually 60 restarts_are again 1
	caisson restart again
	caisson rm -f again
}

# Its monitor stands still while the container waits to be started again.
stopped_while_waiting() {
	kill -STOP "$(monitor_of again)"
	status_is again restarting || { kill -CONT "$(monitor_of again)"; return 1; }
}

@test "a monitor that is killed while its container waits: the end is written down, and it can be started again" {
	skip_in hyperv "the monitor waits by the same code"
	caisson run -d --name again --restart unless-stopped "$IMAGE" sh -c 'exit 4' > /dev/null
	eventually 60 restarts_are again 1
	eventually 60 stopped_while_waiting
	kill -9 "$(monitor_of again)"
	eventually 5 status_is again exited
	has "$(field again .State.Error)" 'monitor was killed'
	is "$(field again .State.ExitCode)" 4
	caisson start again > /dev/null
	eventually 60 restarts_are again 1
}

@test "a workload that is killed from outside comes back with a new kernel or namespaces, its address and its port" {
	caisson run -d --name box --restart always -p 18124:80 "$IMAGE" sh -c 'touch /dev/shm/x; mkdir -p /w; echo hi > /w/index.html; exec httpd -f -p 80 -h /w' > /dev/null
	local address before
	address=$(field box .NetworkSettings.IPAddress)
	eventually 10 curl -fsS http://127.0.0.1:18124/
	before=$(field box .State.Pid)
	kill -9 "$before"
	eventually 60 restarts_are box 1
	eventually 60 status_is box running
	eventually 30 curl -fsS http://127.0.0.1:18124/
	is "$(field box .NetworkSettings.IPAddress)" "$address"
	[ "$(field box .State.Pid)" != "$before" ]
	# restart: its signal, its files, no count of it
	before=$(field box .State.Pid)
	is "$(caisson restart -s KILL -t 5 box)" box
	is "$(field box '.State.Status}} {{.RestartCount')" 'running 0'
	[ "$(field box .State.Pid)" != "$before" ]
	in_box test -f /w/index.html
	eventually 30 curl -fsS http://127.0.0.1:18124/
	run -0 caisson stop -t 0 box
	status_is box exited
	caisson restart -t 1 box
	status_is box running
}

@test "restart keeps a --rm container, and who is attached gets the first run's status" {
	caisson run --rm --name kept "$IMAGE" sh -c 'trap "exit 7" TERM; while :; do sleep 0.1; done' > /dev/null &
	local pid=$!
	eventually 60 status_is kept running
	sleep 0.5
	caisson restart kept > /dev/null
	ends_with 7 $pid
	status_is kept running
	run -1 caisson restart nosuch
	has "$output" 'No such container: nosuch'
	run -1 caisson restart -s NONSENSE kept
	has "$output" 'Invalid signal: NONSENSE'
	caisson stop -t 0 kept > /dev/null
	run -1 caisson inspect kept
}

@test "what docker refuses" {
	run -125 caisson run --rm --restart always "$IMAGE" true
	has "$output" 'onflicting options'
	run -1 caisson create --restart sometimes "$IMAGE" true
	has "$output" "invalid restart policy: unknown policy 'sometimes'"
	run -1 caisson create --restart always:3 "$IMAGE" true
	has "$output" "maximum retry count can only be used with 'on-failure'"
	run -1 caisson create --restart on-failure:-1 "$IMAGE" true
	has "$output" 'maximum retry count cannot be negative'
}

health_is() { [ "$(field "$1" .State.Health.Status)" = "$2" ]; }
logged() { [ "$(field "$1" 'len .State.Health.Log')" -ge "$2" ]; }

@test "a health check: starting, healthy, unhealthy, what probes wrote; in ps, inspect and events, not while paused, killed in time" {
	local since n
	since=$(date +%s.%N)
	caisson run -d --name box --health-cmd 'echo "seen $FLAG"; [ ! -e /slow ] || sleep 100; cat /ok' --health-interval 300ms --health-timeout 3s --health-retries 2 \
		-e FLAG=flag "$IMAGE" sleep 1000 > /dev/null
	matches "$(text_of box)" '^Up .* \(health: starting\)$'
	eventually 20 health_is box unhealthy
	matches "$(text_of box)" '^Up .* \(unhealthy\)$'
	is "$(field box '(index .State.Health.Log 0).ExitCode')" 1
	has "$(field box '(index .State.Health.Log 0).Output')" $'seen flag\ncat: can'
	in_box touch /ok
	eventually 20 health_is box healthy
	is "$(field box .State.Health.FailingStreak)" 0
	matches "$(text_of box)" '^Up .* \(healthy\)$'
	is "$(caisson ps -q --filter health=healthy | wc -l) $(caisson ps -q --filter health=unhealthy | wc -l)" '1 0'
	eventually 20 logged box 5
	# stands still
	caisson pause box
	n=$(field box '(index .State.Health.Log 4).End')
	sleep 1.5
	[ "$(field box '(index .State.Health.Log 4).End')" = "$n" ] || [[ $(field box '(index .State.Health.Log 4).ExitCode') == 0 ]]
	n=$(field box '(index .State.Health.Log 4).End')
	sleep 1
	is "$(field box '(index .State.Health.Log 4).End')" "$n"
	caisson unpause box
	in_box touch /slow
	eventually 40 health_is box unhealthy
	has "$(field box '(index .State.Health.Log 4).Output')" 'Health check exceeded timeout (3s)'
	is "$(field box '(index .State.Health.Log 4).ExitCode')" -1
	is "$(caisson events --since "$since" --until "$(date +%s.%N)" --filter event=health_status --format '{{.Action}}' | paste -sd,)" \
		'health_status: unhealthy,health_status: healthy,health_status: unhealthy'
	caisson stop -t 0 box
	health_is box unhealthy
	is "$(field box 'len .State.Health.Log')" 5
	matches "$(text_of box)" '^Exited'
}

@test "a probe that writes without an end is ended in time as well, and keeps nobody waiting" {
	caisson run -d --name box --health-cmd 'cat /dev/zero & cat /dev/zero & cat /dev/zero' --health-interval 300ms --health-timeout 2s --health-retries 1 "$IMAGE" sleep 1000 > /dev/null
	eventually 40 health_is box unhealthy
	has "$(field box '(index .State.Health.Log 0).Output')" 'Health check exceeded timeout (2s)'
	timeout 20 "$CAISSON" exec box true
	timeout 20 "$CAISSON" rm -f box
}

@test "a health check of the image's, changed and turned off; what cannot be probed; refusals" {
	local id
	skip_in hyperv "what is probed is worked out by the engine"
	id=$(caisson create --health-cmd true "$IMAGE" true)
	is "$(field "$id" 'json .Config.Healthcheck')" '{"Test":["CMD-SHELL","true"]}'
	caisson commit -c 'HEALTHCHECK --interval=200ms --retries=1 CMD ["test", "-e", "/well"]' "$id" checked > /dev/null
	caisson run -d --name image checked sleep 1000 > /dev/null
	is "$(field image 'json .Config.Healthcheck')" '{"Interval":200000000,"Retries":1,"Test":["CMD","test","-e","/well"]}'
	eventually 20 health_is image unhealthy
	caisson exec image touch /well
	eventually 20 health_is image healthy
	caisson rm -f image > /dev/null
	is "$(field "$(caisson create --health-retries 7 checked)" '.Config.Healthcheck.Retries}} {{index .Config.Healthcheck.Test 0')" '7 CMD'
	caisson run -d --name none --no-healthcheck "$IMAGE" sleep 1000 > /dev/null
	is "$(field none 'json .Config.Healthcheck.Test')" '["NONE"]'
	hasnt "$(caisson inspect none)" '"Health"'
	hasnt "$(text_of none)" health
	is "$(caisson ps -q --filter health=none | wc -l)" 1
	run -125 caisson create --no-healthcheck --health-cmd true "$IMAGE" true
	has "$output" '--no-healthcheck conflicts with --health-* options'
	run -1 caisson create --health-cmd true --health-interval 10us "$IMAGE" true
	has "$output" 'Interval in Healthcheck cannot be less than 1ms'
	run -125 caisson create --health-cmd true --health-retries=-1 "$IMAGE" true
	has "$output" 'cannot be negative'
	run -125 caisson create --health-interval soon "$IMAGE" true
	has "$output" 'invalid duration "soon"'
}

@test "a rotated log: every line once for who follows, all files for who reads later, tail and details across them" {
	caisson run -d --name box --log-opt max-size=20k --log-opt max-file=3 --log-opt labels=color --log-opt env=FLAG -l color='a b' -e FLAG=confidential "$IMAGE" \
		sh -c 'while [ ! -e /go ]; do sleep 0.1; done; seq 1 5000; while :; do sleep 0.1; done' > /dev/null
	caisson logs -f box > "$E2E_DIR/followed" &
	local follower=$! log
	# everybody may read arguments
	run -1 grep -a confidential "/proc/$(monitor_of box)/cmdline"
	sleep 0.5
	in_box touch /go
	followed() { [ "$(tail -n 1 "$E2E_DIR/followed")" = 5000 ]; }
	eventually 30 followed
	seq 1 5000 | cmp - "$E2E_DIR/followed"
	log=$CAISSON_ROOT/containers/$(id_of box)/$(id_of box)-json.log
	[ -e "$log.1" ]
	caisson stop -t 0 box
	ends_with 0 $follower
	is "$(caisson logs --tail 700 box | paste -sd' ')" "$(seq 4301 5000 | paste -sd' ')"
	is "$(caisson logs --tail 1 --details box)" 'FLAG=confidential,color=a+b 5000'
	matches "$(caisson logs --tail 1 -t box)" '^[0-9-]+T[0-9:]+\.[0-9]{9}Z 5000$'
	# without a reader max-file holds
	caisson start box
	in_box touch /go
	eventually 20 eval '[ "$(ls "$log" "$log".* | wc -l)" = 3 ]'
	[ "$(cat "$log" "$log".* | wc -c)" -le 62000 ]
}

@test "log drivers and options: none, and what is refused by name" {
	skip_in hyperv "the log is the same monitor's"
	caisson run --name quiet --log-driver none "$IMAGE" echo hello > /dev/null
	run -1 caisson logs quiet
	has "$output" 'configured logging driver does not support reading'
	refused() { # refused TEXT OPTIONS...
		local text=$1
		shift
		run -1 caisson create "$@" "$IMAGE" true
		has "$output" "$text"
	}
	refused "no log driver named 'syslog' is registered" --log-driver syslog
	refused "unknown log opt 'color' for json-file log driver" --log-opt color=red
	refused "invalid size: 'big'" --log-opt max-size=big
	refused 'max-file cannot be less than 1' --log-opt max-size=1m --log-opt max-file=0
	refused 'tag: templates are not supported' --log-opt 'tag={{.ID}}'
	refused 'compress=true is not supported' --log-opt compress=true
	refused "unknown log opt 'max-size' for none log driver" --log-driver none --log-opt max-size=1m
}

@test "logs: since and until as a time, as seconds and as a duration" {
	skip_in hyperv "the log is the same monitor's"
	caisson run --name box "$IMAGE" sh -c 'echo one; sleep 1.1; echo two; sleep 1.1; echo three' > /dev/null
	local second
	second=$(caisson logs -t box | sed -n 's/ two$//p')
	is "$(caisson logs --since "$second" box | paste -sd' ')" 'two three'
	is "$(caisson logs --until "$second" box | paste -sd' ')" 'one two'
	is "$(caisson logs --since "$(date -d "$second" +%s.%N)" --until "$second" box)" two
	is "$(caisson logs --since 1h box | wc -l) $(caisson logs --until 1h box | wc -l)" '3 0'
	is "$(caisson logs --tail 2 --until "$second" box)" two
}

@test "a full disk while logging: the container goes on, and the log says what is missing" {
	skip_in hyperv "the log is the same monitor's; the disk of the VM would be on the small file system, too"
	local dir
	caisson create --name box "$IMAGE" sh -c 'echo begin; while [ ! -e /go ]; do sleep 0.1; done; seq 1 30000; touch /dev/shm/done; while [ ! -e /on ]; do sleep 0.1; done; echo end; sleep 1000' > /dev/null
	dir=$CAISSON_ROOT/containers/$(id_of box)
	mount -t tmpfs -o size=128k,mode=700 none "$dir"
	MOUNTED=$dir
	mkdir -m 755 "$dir/upper" "$dir/work"
	caisson start box > /dev/null
	in_box touch /go
	eventually 10 in_box test -e /dev/shm/done
	status_is box running
	# most of it is more than a pipe holds, so the log has met the full disk
	mount -o remount,size=16m "$dir"
	in_box touch /on
	eventually 10 eval '[[ $(caisson logs box 2>&1) == *end* ]]'
	matches "$(caisson logs box 2>&1)" $'\n\\[caisson: [0-9]+ lines of output could not be written to the log: No space left on device\\]\n(.*\n)?end$'
	caisson kill box
}

# no process, nothing below the run directory, no bridge, no rule
reboot_host() {
	local name monitors=()
	for name; do monitors+=("$(monitor_of "$name")"); done
	kill -9 "${monitors[@]}"
	local pid
	for pid in "${monitors[@]}"; do eventually 5 gone "$pid"; done
	end_name_servers
	rm -rf "${CAISSON_RUN:?}"/*
	nft flush ruleset
	for name in $(ip -o link show type bridge | cut -d : -f 2); do ip link del "$name"; done
}

@test "after a boot of the host system restart starts what --restart asks for, and nothing else" {
	skip_in hyperv "what is started is started by the code of start; five more boots would say nothing new"
	local name
	for name in 'mate unless-stopped' 'stopped unless-stopped' 'keen always' 'failed on-failure' 'plain no'; do
		caisson run -d --name "${name% *}" --restart "${name#* }" "$IMAGE" sleep 1000 > /dev/null
	done
	caisson create --name never --restart always "$IMAGE" sleep 1000 > /dev/null
	caisson stop -t 0 stopped keen
	reboot_host mate failed plain
	is "$(caisson system restart | sort | paste -sd' ')" 'failed keen mate'
	is "$(caisson ps --format '{{.Names}}' | sort | paste -sd' ')" 'failed keen mate'
	is "$(field plain '.State.Status}} {{.State.ExitCode')" 'exited 255'
	status_is never created
	run -0 caisson system restart
	is "$output" ''
}

@test "the unit for systemd: installed below the prefix, runs the installed program, and is sound" {
	local unit
	unit=$(dirname "$CAISSON")/data/caisson-restart.service
	[ -e "$unit" ] || unit=$(find "$(dirname "$CAISSON")" -name caisson-restart.service | head -n 1)
	matches "$(sed -n 's/^ExecStart=//p' "$unit")" '^/[^ ]*/bin/caisson system restart$'
	requires systemd-analyze
	# the program of the build stands in for the one that is not installed
	sed "s|^ExecStart=[^ ]*|ExecStart=$CAISSON|" "$unit" > "$E2E_DIR/caisson-restart.service"
	run -0 systemd-analyze verify --man=no "$E2E_DIR/caisson-restart.service"
}
