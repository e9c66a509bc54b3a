# run --timing: where the time of a start went.
load lib

# timed [OPTIONS...]: runs with --timing=json; the phases' names in order, by commas, are in $phases, the line is checked. The exit status is run's.
timed() {
	local status=0
	caisson run --timing=json "$@" 2> "$BATS_TEST_TMPDIR/stderr" > "$BATS_TEST_TMPDIR/stdout" || status=$?
	phases=$(tail -n 1 "$BATS_TEST_TMPDIR/stderr" | python3 -c '
import json, sys
t = json.load(sys.stdin)
assert set(t) == {"Phases", "Total"}, t
at = 0
for p in t["Phases"]:
    assert set(p) == {"Phase", "Start", "Duration"}, p
    assert abs(p["Start"] - at) < 0.0015 and p["Duration"] >= 0, ("gap", at, p)
    at = p["Start"] + p["Duration"]
assert abs(at - t["Total"]) < 0.0015, ("sum", at, t)
assert abs(sum(p["Duration"] for p in t["Phases"]) - t["Total"]) < 0.05, t
print(",".join(p["Phase"] for p in t["Phases"]))') || fail "$(cat "$BATS_TEST_TMPDIR/stderr")"
	return "$status"
}

# in_order NAME...: these phases came, in this order, with others between them
in_order() {
	local rest=,$phases, name
	for name; do
		[[ $rest == *",$name,"* ]] || fail "no $name in its place" "seen: $phases"
		rest=,${rest#*",$name,"}
	done
}

@test "run --timing=json: the phases of this mode, in order, which add up" {
	timed --rm "$IMAGE" echo hello
	is "$(cat "$BATS_TEST_TMPDIR/stdout")" hello
	if [ "$MODE" = process ]; then
		is "$phases" 'resolve,rootfs,record,network,monitor,sandbox,network,exec,first byte,exit,clean-up'
	else
		in_order resolve rootfs disk record network monitor machine network template 'vmm start' restore agent exec 'first byte' exit clean-up
		hasnt "$phases" sandbox
		hasnt "$phases" boot
	fi
}

@test "run --timing: a workload that takes its time takes it in exit, and one without output has no first byte" {
	timed --rm --network=none "$IMAGE" sleep 1
	hasnt "$phases" 'first byte'
	hasnt "$phases" network
	python3 - "$BATS_TEST_TMPDIR/stderr" <<- 'END'
		import json, sys
		phases = {p["Phase"]: p["Duration"] for p in json.loads(open(sys.argv[1]).read().splitlines()[-1])["Phases"]}
		assert phases["exit"] >= 990, phases
	END
}

@test "run --timing: a table, behind what the workload says" {
	run -3 --separate-stderr caisson run --rm --timing "$IMAGE" sh -c 'echo own >&2; exit 3'
	is "${stderr_lines[0]}" own
	matches "${stderr_lines[1]}" '^PHASE +START MS +MS$'
	matches "${stderr_lines[2]}" '^resolve +0\.000 +[0-9]+\.[0-9]{3}$'
	matches "${stderr_lines[-2]}" '^clean-up +[0-9.]+ +[0-9.]+$'
	matches "${stderr_lines[-1]}" '^total +[0-9.]+$'
	is "$output" ''
}

@test "run -d --timing: until the workload is executed" {
	timed -d --name behind "$IMAGE" sleep 1000
	is "$(cat "$BATS_TEST_TMPDIR/stdout")" "$(id_of behind)"
	in_order resolve record monitor exec clean-up
	hasnt "$phases" exit
	caisson rm -f behind
}

@test "run --timing: a start that fails tells how far it came" {
	local status=0
	timed --rm "$IMAGE" nowhere || status=$?
	is "$status" 127
	has "$(cat "$BATS_TEST_TMPDIR/stderr")" nowhere
	in_order resolve rootfs network monitor exec clean-up
	hasnt "$phases" exit
	status=0
	timed --rm --pull never no-such-image true || status=$?
	is "$status" 125
	is "$phases" resolve,clean-up
	assert_nothing_left
}

@test "run --timing: a pull is a phase" {
	timed --rm "$IMAGES/entrypoint"
	in_order resolve pull resolve rootfs exec exit
}

@test "run --timing of a VM that boots: boot in place of template and restore" {
	skip_in process 'nothing boots'
	timed --rm --fresh-boot "$IMAGE" true
	in_order monitor machine network 'vmm start' boot agent exec exit clean-up
	hasnt "$phases" template
	hasnt "$phases" restore
}

@test "run --timing takes table and json" {
	run -125 --separate-stderr caisson run --rm --timing=xml "$IMAGE" true
	has "$stderr" 'invalid argument "xml" for "--timing" flag: must be one of "table" or "json"'
}

@test "run without --timing says nothing of it" {
	run -0 --separate-stderr caisson run --rm "$IMAGE" true
	is "$stderr" ''
}
