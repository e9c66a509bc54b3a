# The choice of the kernel: its names, where it comes from, where it shows.
load lib

other() { [ "$MODE" = process ] && echo hyperv || echo process; }

@test "--isolation takes the documented values in any case, on run and create" {
	local value
	case $MODE in
	process) values='process PROCESS Process' ;;
	hyperv) values='hyperv vm HyperV VM' ;;
	esac
	for value in $values; do
		run -0 --separate-stderr caisson create --isolation="$value" "$IMAGE" true
		is "$(field "$output" .HostConfig.Isolation)" "$MODE"
		caisson rm "$output"
	done
	run -0 --separate-stderr caisson run --rm --isolation "$MODE" "$IMAGE" echo ran
	is "$output" ran
}

@test "default is the configuration's" {
	run -0 --separate-stderr caisson create --isolation=default "$IMAGE" true
	is "$(field "$output" .HostConfig.Isolation)" "$MODE"
	caisson rm "$output"
	run -0 --separate-stderr caisson create "$IMAGE" true
	is "$(field "$output" .HostConfig.Isolation)" "$MODE"
	caisson rm "$output"
	run -0 --separate-stderr caisson info --format '{{.Isolation}}'
	is "$output" "$MODE"
	run -0 --separate-stderr caisson info
	has "$output" "Default Isolation: $MODE"
	: > "$BATS_TEST_TMPDIR/conf"
	run -0 --separate-stderr caisson --config "$BATS_TEST_TMPDIR/conf" info --format '{{.Isolation}}'
	is "$output" process
}

@test "it is resolved at create: a changed configuration changes no container" {
	caisson create --name fixed "$IMAGE" true
	printf 'isolation = %s\naccel = tcg\n' "$(other)" > "$BATS_TEST_TMPDIR/conf"
	run -0 --separate-stderr caisson --config "$BATS_TEST_TMPDIR/conf" inspect --format '{{.HostConfig.Isolation}}' fixed
	is "$output" "$MODE"
	caisson rm fixed
}

@test "wrong values are refused everywhere, with docker's words" {
	local verb
	for verb in run create; do
		run --separate-stderr caisson $verb --isolation=kvm "$IMAGE" true
		[ "$status" -ne 0 ]
		has "$stderr" "invalid isolation (kvm): use 'default', 'process' or 'hyperv'"
	done
	is "$(caisson ps -aq)" ''
}

@test "the kernel inside is the host's or another" {
	box
	run -0 --separate-stderr in_box sh -c 'uname -r; cat /proc/sys/kernel/random/boot_id'
	if [ "$MODE" = process ]; then
		is "$output" "$(uname -r)"$'\n'"$(cat /proc/sys/kernel/random/boot_id)"
	else
		[ "${lines[1]}" != "$(cat /proc/sys/kernel/random/boot_id)" ]
	fi
}

@test "the workload is a process of the host, or is not" {
	caisson run -d --name marked "$IMAGE" sleep 86421
	local found
	found=$(grep -lzsx 86421 /proc/[0-9]*/cmdline | cut -d / -f 3 | while read -r p; do [ "$(tr '\0' ' ' < /proc/$p/cmdline)" != 'sleep 86421 ' ] || echo $p; done)
	if [ "$MODE" = process ]; then
		[ -n "$found" ] || fail 'no such process on the host'
	else
		is "$found" ''
	fi
	caisson rm -f marked
}

@test "shown by ps and inspect" {
	box
	run -0 --separate-stderr caisson ps
	has "${lines[0]}" ISOLATION
	has "${lines[1]}" "$MODE"
	run -0 --separate-stderr caisson ps --filter isolation="$(other)" -q
	is "$output" ''
	run -0 --separate-stderr caisson ps --filter isolation="$MODE" --format '{{.Names}} {{.Isolation}}'
	is "$output" "box $MODE"
	run --separate-stderr caisson ps --filter isolation=nonsense
	[ "$status" -ne 0 ]
	has "$stderr" nonsense
}

@test "both kinds run side by side from one image" {
	skip_in process "done once, in hyperv"
	caisson run -d --name pp --isolation=process "$IMAGE" sleep 1000
	caisson run -d --name hh --isolation=hyperv "$IMAGE" sleep 1000
	run -0 --separate-stderr caisson ps --format '{{.Names}} {{.Isolation}}'
	has "$output" 'pp process'
	has "$output" 'hh hyperv'
	[ "$(caisson exec pp cat /proc/sys/kernel/random/boot_id)" != "$(caisson exec hh cat /proc/sys/kernel/random/boot_id)" ]
	caisson rm -f pp hh
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
