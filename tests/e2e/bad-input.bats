# The rows of bad-input.table: bad input gets an error that names the thing and the remedy, the exit status that docker has, and leaves nothing behind.
load lib
load bad-input

setup_file() {
	e2e_setup_file
	load bad-input
	surroundings
	TOOL=caisson objects
}

teardown() { remember_ids; }

teardown_file() {
	load bad-input
	end_surroundings
	e2e_teardown_file
}

@test "the command line" { rows 'command line'; }

@test "options of run" { rows 'options of run'; }

@test "mounts and devices" { rows 'mounts and devices'; }

@test "networks and ports" { rows 'networks and ports'; }

@test "containers and their states" { rows 'containers and their states'; }

@test "images and volumes" { rows 'images and volumes'; }

@test "other commands" { rows 'other commands'; }

@test "names and arguments" { rows 'names and arguments'; }

@test "registries" { rows 'registries'; }

@test "the state directory" { rows 'the state directory'; }

@test "odd and long values come through unchanged" {
	local values
	caisson run -d --name odd --label "odd=$ODD" --label "long=$LONG" --label "$ODD=name" -e "odd=$ODD" -e "long=$LONG" "$IMAGE" \
		sh -c 'exec sleep 100000' "$ODD" "$LONG" > /dev/null
	is "$(field odd 'index .Config.Labels "odd"')" "$ODD"
	is "$(field odd 'index .Config.Labels "long"')" "$LONG"
	values=$(caisson inspect --format '{{json .Config.Labels}}' odd)
	is "$(python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$ODD" <<< "$values")" name
	is "$(field odd 'index .Config.Cmd 3')" "$ODD"
	is "$(field odd 'index .Args 3')" "$LONG"
	is "$(caisson ps -q --no-trunc --filter "label=odd=$ODD")" "$(id_of odd)"
	has "$(caisson ps --no-trunc --format '{{.Command}}')" "$LONG"
	# shellcheck disable=SC2016
	is "$(caisson exec odd sh -c 'printf %s "$odd|$long"')" "$ODD|$LONG"
	# shellcheck disable=SC2016
	is "$(caisson exec -e "more=$ODD" odd sh -c 'printf %s "$more"')" "$ODD"
	is "$(caisson exec odd printf '%s|' "$ODD" '' "$LONG")" "$ODD||$LONG|"
	is "$(caisson exec odd printf %s "$LONG" "$LONG" "$LONG" "$LONG" "$LONG" | wc -c)" 500000
	caisson rm -f odd > /dev/null
	is "$(caisson run --rm --network none "$IMAGE" printf %s "$LONG" "$LONG" "$LONG" "$LONG" "$LONG" | wc -c)" 500000
	is "$(caisson run --rm --network none --entrypoint printf "$IMAGE" '%s|' "$ODD" '')" "$ODD||"
	caisson volume create --label "odd=$ODD" named > /dev/null
	is "$(caisson volume inspect --format '{{index .Labels "odd"}}' named)" "$ODD"
	caisson volume rm named > /dev/null
	caisson network create --label "odd=$ODD" named > /dev/null
	is "$(caisson network inspect --format '{{index .Labels "odd"}}' named)" "$ODD"
	caisson network rm named > /dev/null
}

# From where the program stands, times that it wrote down and that are ahead of now are all that a clock set back is.
@test "a clock that was set back" {
	local output
	caisson run -d --name early --network none "$IMAGE" sh -c 'echo first; exec sleep 100000' > /dev/null
	caisson run --name past --network none "$IMAGE" true
	eventually 5 status_is early running
	python3 - "$CAISSON_ROOT/db.sqlite" <<-'P'
		import sqlite3, sys
		c = sqlite3.connect(sys.argv[1], timeout=30)
		c.create_function("mirror", 3, lambda *row: None)
		day = 86400 * 10**9
		c.execute("UPDATE containers SET created = created + ?, started = started + ?, finished = CASE finished WHEN 0 THEN 0 ELSE finished + ? END", (day,) * 3)
		c.commit()
	P
	output=$(caisson ps -a --format '{{.Names}}|{{.RunningFor}}|{{.Status}}')
	has "$output" 'early|Less than a second ago|Up '
	has "$output" 'past|Less than a second ago|Exited (0) Less than a second ago'
	is "$(caisson logs early)" first
	is "$(caisson exec early echo works)" works
	caisson stop -t 1 early > /dev/null
	status_is early exited
	caisson start early past > /dev/null
	status_is early running
	caisson restart -t 1 early > /dev/null
	has "$(caisson ps --format '{{.Names}}|{{.Status}}')" 'early|Up'
	caisson rm -f early past > /dev/null
}

@test "every row of the table was run, and there are enough" {
	local section
	while IFS= read -r section; do
		grep -qF "rows '$section'" "$BATS_TEST_FILENAME" || fail "$section is not run"
	done < <(sections)
	[ "$(grep -c ' | .* | .* | .* | .* | ' "$TABLE")" -gt 120 ]
}

@test "nothing is left behind" {
	remove_all
	caisson network prune -f > /dev/null
	caisson volume rm vol1 > /dev/null
	is "$(strays)" ''
	assert_nothing_left
}
