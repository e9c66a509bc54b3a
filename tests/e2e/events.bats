# Events: what each command and each end leaves in the journal, filters, formats, live following, many writers at once.
load lib

teardown() {
	[ -z "${FOLLOWER:-}" ] || kill "$FOLLOWER" 2> /dev/null || true
	remove_all
	assert_nothing_left
}

now() { date +%s.%N; }
# actions SINCE [OPTIONS...]: the actions since then, in one line
actions() {
	local since=$1
	shift
	caisson events --since "$since" --until "$(now)" --format '{{.Action}}' "$@" | paste -sd' '
}

@test "a container's whole life, in docker's order and with docker's attributes" {
	local since id
	since=$(now)
	id=$(caisson run -d --name box -l color=red "$IMAGE" sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done')
	eventually 5 eval '[[ $(actions $since) == *start* ]]'
	run -3 caisson exec box sh -c 'exit 3'
	caisson pause box
	caisson unpause box
	caisson rename box chest
	sleep 0.3
	caisson restart -t 5 chest
	caisson kill -s KILL chest
	caisson rm chest
	is "$(actions "$since" --filter type=container)" "create start exec_create: sh -c exit 3 exec_start: sh -c exit 3 exec_die pause unpause rename \
kill die stop start restart kill die destroy"
	is "$(actions "$since" --filter type=network)" 'connect disconnect connect disconnect'
	is "$(actions "$since" --filter event=exec_create --filter event=die)" 'exec_create: sh -c exit 3 die die'
	is "$(caisson events --since "$since" --until "$(now)" --filter event=die --format '{{.Actor.Attributes.exitCode}} {{.Actor.Attributes.name}} {{.From}}')" \
		"9 chest $IMAGE"$'\n'"137 chest $IMAGE"
	is "$(caisson events --since "$since" --until "$(now)" --filter event=exec_die --format '{{.Actor.Attributes.exitCode}}')" 3
	is "$(caisson events --since "$since" --until "$(now)" --filter event=kill --format '{{.Actor.Attributes.signal}}' | paste -sd' ')" '15 9'
	is "$(caisson events --since "$since" --until "$(now)" --filter event=rename --format '{{.Actor.Attributes.oldName}}')" /box
	matches "$(caisson events --since "$since" --until "$(now)" --filter event=destroy)" \
		"^[0-9-]+T[0-9:]+\.[0-9]{9}(Z|[+-][0-9:]{5}) container destroy $id \(color=red, image=$IMAGE, name=chest\)$"
	is "$(caisson events --since "$since" --until "$(now)" --filter event=create --filter type=container --format json |
		jq -r '[.status, .id, .from, .Type, .Action, .Actor.ID, .Actor.Attributes.name, .scope, (.timeNano / 1000000000 | floor) == .time, .isolation] | join(" ")')" \
		"create $id $IMAGE container create $id box local true $MODE"
}

@test "filters: by container, image, label, isolation, network, volume; what is unknown is refused" {
	local since
	since=$(now)
	caisson network create quiet > /dev/null
	caisson volume create store > /dev/null
	caisson create --name one -l tier=web "$IMAGE" true > /dev/null
	caisson create --name two -l tier=db "$IMAGE" true > /dev/null
	caisson rm one two > /dev/null
	caisson volume rm store > /dev/null
	caisson network rm quiet > /dev/null
	is "$(actions "$since" --filter container=one)" 'create destroy'
	is "$(actions "$since" --filter label=tier=db)" 'create destroy'
	is "$(actions "$since" --filter label=tier --filter event=create)" 'create create'
	is "$(actions "$since" --filter isolation="$MODE" --filter event=destroy)" 'destroy destroy'
	is "$(actions "$since" --filter network=quiet)" 'create destroy'
	is "$(actions "$since" --filter volume=store --filter type=volume)" 'create destroy'
	is "$(actions "$since" --filter image="${IMAGE}" --filter container=two)" 'create destroy'
	run -1 caisson events --until 1s --filter color=red
	has "$output" "invalid filter 'color'"
	run -1 caisson events --since yesterday
	has "$output" 'failed to parse value as time or duration'
	caisson tag "$IMAGE" again:one
	caisson rmi again:one > /dev/null
	is "$(actions "$since" --filter type=image)" 'tag untag'
}

@test "live: what comes is shown at once, by many writers in the order of time, whole, across the journal's rotation" {
	local i lines since pids=() pid
	"$CAISSON" events --format '{{.Action}} {{.Actor.Attributes.name}}' > "$E2E_DIR/live" 3>&- &
	FOLLOWER=$!
	# the journal is not far from its end
	mkdir -p "$CAISSON_ROOT/events"
	head -c 1047000 /dev/zero | tr '\0' x >> "$CAISSON_ROOT/events/journal"
	sleep 0.5
	since=$(now)
	for i in 1 2 3 4; do
		(for n in 1 2 3 4 5; do caisson create --name "c$i-$n" "$IMAGE" true && caisson rm "c$i-$n"; done) > /dev/null &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
	[ -e "$CAISSON_ROOT/events/journal.1" ]
	lines() { [ "$(wc -l < "$E2E_DIR/live")" = "$1" ]; }
	eventually 5 lines 40 || fail "$(cat "$E2E_DIR/live")"
	is "$(caisson events --since "$since" --until "$(now)" --filter type=container | wc -l)" 40
	caisson events --since "$since" --until "$(now)" --format '{{.TimeNano}}' | sort -nc
	is "$(sort "$E2E_DIR/live" | uniq -d)" ''
	kill "$FOLLOWER"
	# nobody reads any more: it ends
	caisson events | true
}

@test "a writer that was killed in the middle of a line, and garbage, spoil no other event" {
	local since
	since=$(now)
	mkdir -p "$CAISSON_ROOT/events"
	printf '%s' '1700000000000000000 {"Type":"container","Act' >> "$CAISSON_ROOT/events/journal"
	caisson volume create whole > /dev/null
	printf '\n\0\377 {]\n99999999999999999999999 {}\n1 {"Type":1}\n' >> "$CAISSON_ROOT/events/journal"
	caisson volume rm whole > /dev/null
	is "$(actions "$since")" 'create destroy'
}

@test "what else is told: update, commit, export, rm, and nothing of a container that only lends its files" {
	local since
	since=$(now)
	caisson create --name still "$IMAGE" true > /dev/null
	caisson update --restart always still > /dev/null
	caisson export still > /dev/null
	caisson commit still stilled > /dev/null
	caisson rmi stilled > /dev/null
	caisson rm still > /dev/null
	is "$(actions "$since" --filter container=still)" 'create update export commit destroy'
	is "$(actions "$since" --filter type=network --filter type=image | grep -c connect)" 0
}
