# The rows of bad-input.table: bad input gets an error that names the thing and the remedy, the exit status that docker has, and leaves nothing behind.
load lib
load bad-input

setup_file() {
	e2e_setup_file
	load bad-input
	TOOL=caisson objects
}

teardown() { remember_ids; }

teardown_file() { e2e_teardown_file; }

@test "the command line" { rows 'command line'; }

@test "options of run" { rows 'options of run'; }

@test "mounts and devices" { rows 'mounts and devices'; }

@test "networks and ports" { rows 'networks and ports'; }

@test "containers and their states" { rows 'containers and their states'; }

@test "images and volumes" { rows 'images and volumes'; }

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
