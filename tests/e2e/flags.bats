# The options of run, create and exec that are no limits: what each does inside the container, in both modes; what a mode cannot do is refused before
# anything is made, and no option of docker's is unknown.
load lib

setup() {
	dir=$BATS_TEST_TMPDIR/d
	mkdir -p "$dir"
}

teardown() {
	umount -R -l "$dir/shared" 2> /dev/null || true
}

refused() { # refused TEXT OPTION...: run fails as docker's does, with this text
	local text=$1
	shift
	run -125 --separate-stderr caisson run --rm "$@" "$IMAGE" true
	has "$stderr" "$text"
}

@test "many options in one container, and what inspect says of them" {
	printf '# a comment\nA=file\n  B= x y \nTAKEN\nNOT_TAKEN\n\nC=file' > "$dir/env"
	printf 'one=1\n# a comment\n  two\nover=file\n' > "$dir/labels"
	TAKEN=ours caisson run -d --name many --env-file "$dir/env" -e C=option --label-file "$dir/labels" -l over=option --annotation note=text \
		--group-add extra --group-add 777 --user app --add-host fixed:192.0.2.7 --add-host me:host-gateway --add-host six:2001:db8::7 \
		--mount type=tmpfs,target=/t,tmpfs-size=2m,tmpfs-mode=1750 --mount "type=bind,src=$dir,dst=/b,readonly,bind-propagation=private" \
		--mount type=volume,source=labelled,target=/v,volume-label=kind=test --stop-signal USR1 --stop-timeout 1 \
		--expose 7000-7002/udp --expose 80 -P --disable-content-trust --volume-driver local --cidfile "$dir/cid" --cgroupns private --security-opt systempaths=unconfined \
		"$IMAGE" sh -c 'trap "" USR1; while :; do sleep 0.1; done' > "$dir/id"
	is "$(cat "$dir/cid")" "$(cat "$dir/id")"
	run -0 caisson exec many sh -c 'echo "$A|$B|$C|$TAKEN|${NOT_TAKEN-unset}"; id -G; grep -E "fixed|me$|six" /etc/hosts; stat -c %a /t; df -k /t | tail -n 1 | tr -s " " | cut -d " " -f 2
		touch /b/x 2>&1; grep -c " /b .*shared" /proc/self/mountinfo; grep -c " /proc/[^ ]* " /proc/self/mountinfo; true'
	is "${lines[0]}" 'file| x y |option|ours|unset'
	is "${lines[1]}" '1000 777 1234'
	is "$(printf '%s|' "${lines[@]:2:3}" | tr '\t' ' ')" "192.0.2.7 fixed|$(field many .NetworkSettings.Networks.bridge.Gateway) me|2001:db8::7 six|"
	is "$(printf '%s|' "${lines[@]:5}")" '1750|2048|touch: /b/x: Read-only file system|0|0|'
	is "$(field many '.Config.Labels.one}}|{{.Config.Labels.two}}|{{.Config.Labels.over')" '1||option'
	is "$(field many '.HostConfig.Annotations.note}} {{.Config.StopSignal}} {{.Config.StopTimeout}} {{.HostConfig.GroupAdd}} {{.HostConfig.PublishAllPorts')" \
		'text USR1 1 [extra 777] true'
	is "$(field many 'len .HostConfig.MaskedPaths')" 0
	is "$(field many '.HostConfig.ContainerIDFile}}|{{.HostConfig.PidMode}}|{{.HostConfig.IpcMode}}|{{.HostConfig.CgroupnsMode}}|{{.HostConfig.ShmSize')" \
		"$dir/cid||private|private|67108864"
	is "$(field many 'range .Mounts}}{{.Type}}:{{.Destination}}:{{.RW}}:{{.Propagation}} {{end')" 'tmpfs:/t:true: bind:/b:false:private volume:/v:true: '
	is "$(caisson volume inspect --format '{{.Labels.kind}}' labelled)" test
	run -0 caisson port many
	matches "$output" '80/tcp -> .*7000/udp -> .*7001/udp -> .*7002/udp -> '
	# exec has some of them
	printf 'D=file\n' > "$dir/env"
	run -0 caisson exec --env-file "$dir/env" -e E=option -w /t -u 0:777 many sh -c 'echo "$D $E $PWD $(id -u):$(id -g)"'
	is "$output" 'file option /t 0:777'
	# the signal is ignored, and the time is not the usual ten seconds
	timeout 9 "$CAISSON" stop many
	is "$(field many .State.ExitCode)" 137
	caisson run -d --name signal --stop-signal USR1 --stop-timeout -1 "$IMAGE" sh -c 'trap "exit 9" USR1; echo > /ready; while :; do sleep 0.1; done' > /dev/null
	eventually 20 caisson exec signal test -e /ready
	caisson stop signal
	is "$(field signal .State.ExitCode)" 9
	caisson rm signal
	caisson rm -v many
	caisson volume rm labelled
}

listing='cd "$0"; find . -type d -exec stat -c "%n %F %u:%g %a %Y" {} +; find . ! -type d -exec stat -c "%n %F %u:%g %a %s %Y %h" {} +; find . -type l -exec readlink {} \;'

@test "inspect has every field of docker's HostConfig" {
	local key keys
	caisson create --name fields -v "$dir:/r:ro" -v named:/n -v /anonymous --tmpfs /left-out --mount type=tmpfs,target=/t,tmpfs-size=1m "$IMAGE" true > /dev/null
	keys=$(caisson inspect --format '{{range $key, $value := .HostConfig}}{{$key}} {{end}}' fields)
	for key in Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove VolumeDriver VolumesFrom CapAdd CapDrop CgroupnsMode Dns \
		DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode Cgroup Links OomScoreAdj PidMode Privileged PublishAllPorts ReadonlyRootfs SecurityOpt \
		UTSMode UsernsMode ShmSize Runtime ConsoleSize Isolation CpuShares Memory NanoCpus CgroupParent BlkioWeight BlkioWeightDevice \
		BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime \
		CpusetCpus CpusetMems Devices DeviceCgroupRules DeviceRequests MemoryReservation MemorySwap MemorySwappiness OomKillDisable PidsLimit \
		Ulimits CpuCount CpuPercent IOMaximumIOps IOMaximumBandwidth MaskedPaths ReadonlyPaths; do
		[[ " $keys " == *" $key "* ]] || fail "no $key"
	done
	is "$(field fields 'range .Mounts}}{{.Destination}}:{{.Mode}}:{{.RW}} {{end')" '/r:ro:false /n:z:true /t::true /anonymous::true '
	caisson rm -v fields > /dev/null
	caisson volume rm named > /dev/null
}

@test "an empty volume is filled from the image: owners, modes, times, links" {
	run -0 --separate-stderr caisson run --rm "$IMAGES/layers" sh -c "$listing" /a
	local image=$output
	has "$image" './one regular file 1000:1234 640'
	run -0 --separate-stderr caisson run --rm -v filled:/a "$IMAGES/layers" sh -c "$listing; stat -c %i one two three | sort -u | wc -l; rm one; echo own > kept/file" /a
	is "${lines[-1]}" 1
	is "$(head -n -1 <<< "$output" | sort)" "$(sort <<< "$image")"
	# not once it has something in it, and not where it shall not
	run -0 --separate-stderr caisson run --rm -v filled:/a -v no:/b:nocopy --mount type=volume,source=none,target=/bin2,volume-nocopy -v anonymous:/home "$IMAGES/layers" \
		sh -c 'ls /a/one; cat /a/kept/file; ls /b /bin2; stat -c "%u:%g %a" /home/app'
	is "$output" $'own\n/b:\n\n/bin2:\n1000:1000 755'
	has "$stderr" '/a/one'
	caisson create --name from -v filled:/a -v "$dir:/b" --tmpfs /t "$IMAGE" true > /dev/null
	run -0 --separate-stderr caisson run --rm --volumes-from from:ro -v no:/b "$IMAGE" sh -c 'cat /a/kept/file; touch /a/x 2> /dev/null || echo ro; touch /b/x && echo rw; ls -d /t 2> /dev/null; true'
	is "$output" $'own\nro\nrw'
	[ ! -e "$dir/x" ]
	caisson rm from
	caisson volume rm filled no none anonymous
}

@test "namespaces: its own, none, or another container's" {
	run -0 --separate-stderr caisson run --rm --ipc none "$IMAGE" sh -c 'ls -d /dev/shm /dev/mqueue 2> /dev/null; grep -c /dev/shm /proc/mounts; true'
	is "$output" $'/dev/mqueue\n0'
	refused '--pid: invalid PID mode' --pid=nonsense
	refused '--pid: invalid PID mode' --pid=container:
	refused 'Invalid IPC mode: nonsense' --ipc=nonsense
	refused '--uts: invalid UTS mode' --uts=private
	refused '--cgroupns: invalid CGROUP mode' --cgroupns=nonsense
	refused '--userns: invalid USER mode' --userns=keep-id
	local option
	if [ "$MODE" = hyperv ]; then
		for option in pid=host ipc=host ipc=shareable uts=host cgroupns=host userns=host pid=container:x ipc=container:x; do
			refused "--$option is not possible with --isolation=hyperv: the container has its own kernel" "--$option"
		done
		caisson create --name vm "$IMAGE" true > /dev/null
		refused 'that container has its own kernel' --isolation process --pid container:vm
		refused 'that container has its own kernel' --isolation process --ipc container:vm
		caisson rm vm
		return
	fi
	refused 'conflicting options: hostname and the UTS mode' --uts=host --hostname x
	refused 'No such container: nosuch' --pid=container:nosuch
	caisson run -d --name donor --ipc shareable "$IMAGE" sh -c 'echo donor > /dev/shm/file; sleep 1000' > /dev/null
	run -0 --separate-stderr caisson run --rm --name joined --pid container:donor --ipc container:donor --userns host "$IMAGE" \
		sh -c 'cat /proc/1/cmdline | tr "\0" " "; echo; cat /dev/shm/file; echo joined > /dev/shm/back; for n in pid ipc; do [ $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) ] && echo same $n; done'
	is "${lines[1]}" donor
	is "$(printf '%s ' "${lines[@]:2}")" 'same pid same ipc '
	run -0 caisson exec donor cat /dev/shm/back
	is "$output" joined
	# an exec is where its container is, and the end of the donor is its end
	caisson run -d --name joined --pid container:donor "$IMAGE" sleep 1234 > /dev/null
	is "$(field joined .HostConfig.PidMode)" "container:$(id_of donor)"
	run -0 caisson exec joined ps
	has "$output" 'sleep 1000'
	has "$output" 'sleep 1234'
	refused 'non-shareable IPC' --ipc=container:joined
	caisson rm -f donor > /dev/null
	eventually 5 status_is joined exited
	run -1 caisson start joined
	has "$output" 'No such container'
	caisson rm joined
}

@test "what belongs to the host's kernel is refused in hyperv mode" {
	skip_in process "that is the host's kernel"
	refused '--device is not possible with --isolation=hyperv' --device /dev/null
	local propagation
	for propagation in shared rshared slave rslave; do
		refused "propagation $propagation is not possible" -v "$dir:/x:$propagation"
	done
	refused '/dev/null is a device' -v /dev/null:/x
	refused 'guest kernel /nosuch: No such file or directory' --kernel /nosuch
	head -c 100000 "$E2E_FIXTURES"/root/kernel/*/vmlinuz > "$dir/broken"
	refused "guest kernel $dir/broken: truncated" --kernel "$dir/broken"
	echo text > "$dir/text"
	refused "guest kernel $dir/text: not a Linux kernel" --kernel "$dir/text"
	refused "invalid size: 'much'" --storage-opt size=much
	refused 'its size is from 128m' --storage-opt size=1m
	refused "unknown option 'speed'" --storage-opt speed=1
	is "$(caisson ps -aq)" ''
	is "$(strays)" ''
}

@test "a kernel of one's own, a disk of a size, and sockets and pipes that lead nowhere" {
	skip_in process "it has neither kernel nor disk"
	local kernel
	kernel=$(echo "$E2E_FIXTURES"/root/kernel/*/vmlinuz)
	ln -s "$kernel" "$dir/own"
	mkdir "$dir/share"
	mkfifo "$dir/share/pipe"
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$dir/share/socket"
	cd "$dir"
	run -0 --separate-stderr caisson run --name own --kernel "$kernel" --storage-opt size=200m -v "$dir/share:/s" -v "$dir/share/socket:/run/one" "$IMAGE" \
		sh -c 'df -m / | tail -n 1 | tr -s " " | cut -d " " -f 2; ls /s; test -S /run/one && echo socket'
	[ "${lines[0]}" -lt 200 ]
	is "$(printf '%s ' "${lines[@]:1}")" 'pipe socket socket '
	has "$stderr" "WARNING: $dir/share/pipe (at /s/pipe) is a named pipe"
	has "$stderr" "WARNING: $dir/share/socket (at /s/socket) is a socket"
	has "$stderr" "WARNING: $dir/share/socket (at /run/one) is a socket"
	is "$(field own '.HostConfig.Kernel}} {{.HostConfig.StorageOpt.size')" "$kernel 200m"
	caisson rm own
}

@test "what needs a kernel or a disk of its own is refused in process mode; devices" {
	skip_in hyperv "it has them, and no devices of the host"
	refused '--kernel is for --isolation=hyperv' --kernel /boot/vmlinuz
	refused '--storage-opt is for --isolation=hyperv' --storage-opt size=1g
	refused 'abc is not an absolute path' --device abc
	refused 'not a device node' --device /etc/passwd
	refused 'must be below /dev' --device /dev/null:/opt/null
	mkdir "$dir/nodes"
	mknod "$dir/nodes/tun" c 10 200
	run -1 --separate-stderr caisson run --rm --device "$dir/nodes:/dev/more:r" --device /dev/zero:/dev/nil "$IMAGE" \
		sh -c 'head -c 3 /dev/nil | wc -c; stat -c %t:%T /dev/more/tun; (: > /dev/more/tun) 2>&1; (: < /dev/more/tun) 2>&1 | grep permitted'
	is "$(tr '\n' ' ' <<< "$output")" "3 a:c8 sh: can't create /dev/more/tun: Operation not permitted "
}

@test "propagation of mounts, the host's name and control groups" {
	skip_in hyperv "refused there"
	mkdir -p "$dir/shared/later" "$dir/shared/own"
	mount --bind "$dir/shared" "$dir/shared"
	mount --make-shared "$dir/shared"
	caisson run -d --name mounts --privileged -v "$dir/shared:/private" -v "$dir/shared:/slave:rslave" --mount "type=bind,source=$dir/shared,target=/peer,bind-propagation=rshared" \
		--uts host --cgroupns host "$IMAGE" sleep 1000 > /dev/null
	mount -t tmpfs tmpfs "$dir/shared/later"
	touch "$dir/shared/later/seen"
	run -0 caisson exec mounts sh -c 'ls /private/later /slave/later /peer/later; mount -t tmpfs tmpfs /peer/own; hostname; cat /proc/self/cgroup'
	is "$(printf '%s ' "${lines[@]:0:6}")" "/peer/later: seen /private/later: /slave/later: seen $(hostname) "
	has "$output" "/$(id_of mounts)"
	mountpoint -q "$dir/shared/own"
	umount "$dir/shared/own" "$dir/shared/later"
	# without the mounts below it
	mount -t tmpfs tmpfs "$dir/shared/later"
	touch "$dir/shared/later/seen"
	run -0 --separate-stderr caisson run --rm --mount "type=bind,source=$dir/shared,target=/a,bind-nonrecursive" -v "$dir/shared:/b" "$IMAGE" ls /a/later /b/later
	is "$(printf '%s ' "${lines[@]}")" '/a/later: /b/later: seen '
	caisson rm -f mounts
}

@test "--cidfile, --pull" {
	touch "$dir/there"
	refused "container ID file found, make sure the other container isn't running or delete $dir/there" --cidfile "$dir/there"
	[ ! -s "$dir/there" ]
	refused 'failed to create the container ID file' --cidfile "$dir/no/such/cid"
	refused 'mount path must be absolute' --cidfile "$dir/gone" -v "$dir:relative"
	[ ! -e "$dir/gone" ]
	run -125 --separate-stderr caisson run --rm --pull never "$IMAGES/layers-not-here" true
	has "$stderr" 'No such image'
	refused 'must be one of "always", "missing" or "never"' --pull sometimes
	run -0 --separate-stderr caisson create --pull always --name pulled "$IMAGE" true
	has "$stderr" 'Pulling from'
	run -0 --separate-stderr caisson create --pull missing --name kept "$IMAGE" true
	is "$stderr" ''
	caisson rm pulled kept
}

@test "--detach-keys of the option and of docker's configuration, --sig-proxy=false" {
	export DOCKER_CONFIG=$dir
	echo '{"detachKeys": "ctrl-x,y"}' > "$dir/config.json"
	run -0 "$BATS_TEST_DIRNAME/terminal.py" 24x80 'expect:# ' 'send:A=kept\n' 'expect:# ' 'send:\x18y' -- "$CAISSON" run -it --name keys "$IMAGE" sh
	status_is keys running
	run -0 "$BATS_TEST_DIRNAME/terminal.py" 24x80 'expect:# ' 'send:\x18y' -- "$CAISSON" exec -it keys sh
	run -0 "$BATS_TEST_DIRNAME/terminal.py" 24x80 'sleep:0.3' 'send:echo "is $A"\n' 'expect:is kept' 'send:qq' -- "$CAISSON" attach --detach-keys q,q keys
	status_is keys running
	run -125 --separate-stderr caisson run --rm --detach-keys ctrl-5 "$IMAGE" true
	has "$stderr" 'invalid detach keys (ctrl-5)'
	echo '{' > "$dir/config.json"
	run -0 --separate-stderr caisson exec keys true
	has "$stderr" 'WARNING: Error loading config file'
	caisson rm -f keys
	"$CAISSON" run --sig-proxy=false --name deaf "$IMAGE" sh -c 'trap "exit 8" TERM; echo up; while :; do sleep 0.1; done' > "$dir/out" 3>&- &
	eventually 10 grep -q up "$dir/out"
	kill -TERM $!
	ends_with 143 $!
	status_is deaf running
	caisson rm -f deaf
}

@test "wrong values: docker's texts" {
	printf 'A B=1\n' > "$dir/space"
	printf '=1\n' > "$dir/noname"
	refused "variable 'A B' contains whitespaces" --env-file "$dir/space"
	refused "no variable name on line '=1'" --env-file "$dir/noname"
	refused "open $dir/nosuch: no such file or directory" --env-file "$dir/nosuch"
	refused "open $dir/nosuch: no such file or directory" --label-file "$dir/nosuch"
	printf 'A=1\n\377=2\n' > "$dir/bytes"
	refused "file $dir/bytes contains invalid utf8 bytes at line 2" --env-file "$dir/bytes"
	refused "variable 'A B' contains whitespaces" --label-file "$dir/space"
	refused 'bad format for add-host: "foo"' --add-host foo
	refused 'invalid IP address in add-host: "bar"' --add-host foo:bar
	refused 'invalid range format for --expose: 10-5' --expose 10-5
	refused 'volume driver "other"' --volume-driver other
	refused 'No such container: nosuch' --volumes-from nosuch
	local mount='invalid mount config for type "bind": '
	refused "${mount}field Source must not be empty" --mount type=bind,target=/x
	refused "${mount}invalid mount path: 'rel' mount path must be absolute" --mount type=bind,source=rel,target=/x
	refused "${mount}invalid mount path: 'x' mount path must be absolute" --mount type=bind,source=/tmp,target=x
	refused "${mount}invalid specification: destination can't be '/'" --mount type=bind,source=/tmp,target=/
	refused "${mount}bind source path does not exist: $dir/nosuch" --mount "type=bind,source=$dir/nosuch,target=/x"
	refused "${mount}invalid propagation mode: odd" --mount type=bind,source=/tmp,target=/x,bind-propagation=odd
	refused 'invalid mount config for type "npipe": mount type unknown' --mount type=npipe,source=a,target=/x
	refused 'invalid mount config for type "tmpfs": field Source must not be specified' --mount type=tmpfs,source=/tmp,target=/x
	refused "cannot mix 'volume-*' options with mount type 'bind'" --mount type=bind,source=/tmp,target=/x,volume-nocopy
	refused 'invalid value for tmpfs-mode: 9' --mount type=tmpfs,target=/x,tmpfs-mode=9
	refused "requires 'bind-propagation=rprivate'" --mount type=bind,source=/tmp,target=/x,ro,bind-recursive=readonly
	refused "bind-recursive=writable' is not supported" --mount type=bind,source=/tmp,target=/x,ro,bind-recursive=writable
	refused 'invalid option: "a"' --mount type=volume,target=/x,volume-opt=a=b
	refused 'volume-subpath is not supported' --mount type=volume,target=/x,volume-subpath=a
	is "$(caisson ps -aq)" ''
	is "$(strays)" ''
}

@test "no option of docker's is unknown" {
	skip_in hyperv "the command line is read before the mode is known"
	requires docker
	local command option
	for command in run create exec; do
		for option in $(docker "$command" --help | grep -oE '^ +(-[a-zA-Z], )?--[a-z0-9-]+' | grep -oE -- '--[a-z0-9-]+'); do
			run --separate-stderr caisson "$command" "$option"
			hasnt "$stderr" 'unknown flag'
		done
	done
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
