# A container's life beyond one run: restart policies, restart, health checks.
load lib

teardown() {
	remove_all
	assert_nothing_left
}

restarts_are() { [ "$(field "$1" .RestartCount)" -ge "$2" ]; }
text_of() { caisson ps -a --filter "name=$1" --format '{{.Status}}'; }

@test "on-failure:N starts again N times, each run on the same root and in the same log; the end is the last run's" {
	caisson run -d --name failing --restart on-failure:2 "$IMAGE" sh -c 'echo run >> /runs; wc -l < /runs; exit 3' > /dev/null
	eventually 60 status_is failing exited
	is "$(caisson logs failing | tr -d ' ' | paste -sd,)" 1,2,3
	is "$(field failing '.RestartCount') $(field failing .State.ExitCode) $(field failing .State.Restarting)" '2 3 false'
	is "$(field failing '.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount')" on-failure:2
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

@test "a monitor that is killed while its container waits: the end is written down, and it can be started again" {
	caisson run -d --name again --restart unless-stopped "$IMAGE" sh -c 'exit 4' > /dev/null
	eventually 60 restarts_are again 2
	eventually 20 status_is again restarting
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
