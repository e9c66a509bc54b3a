# kill -9 of any process at any moment of a start, a run and a stop in a virtual machine: the command ends, the next ones work, nothing is left and the
# template is whole. The moments are random: E2E_KILLS tries for each phase (2), of E2E_SEED, which is printed.
load lib

setup_file() {
	e2e_setup_file
	rm "$CAISSON_ROOT/template"
	export NAME TEMPLATES=$CAISSON_ROOT/template
	NAME=$(caisson template build)
	mkdir "$E2E_DIR/whole" "$E2E_DIR/share"
	cp --sparse=always "$TEMPLATES/$NAME" "$TEMPLATES/$NAME.disk" "$E2E_DIR/whole/"
	: "${E2E_SEED:=$RANDOM}" "${E2E_KILLS:=2}"
	export E2E_SEED E2E_KILLS
	echo "# E2E_SEED=$E2E_SEED E2E_KILLS=$E2E_KILLS" >&3
}

teardown() {
	remove_all
	assert_nothing_left
}

# All the templates there are, and only those: as they were at first.
put_templates() { # put_templates [none]
	caisson template rm --all > /dev/null
	rm -f "$CAISSON_RUN/template/"*.failed
	[ "${1:-}" = none ] || cp --sparse=always "$E2E_DIR/whole/$NAME.disk" "$E2E_DIR/whole/$NAME" "$TEMPLATES/"
}

nobody_builds() { ! pgrep -x caisson-builder --ns $$ --nslist net > /dev/null; }

all_templates_whole() {
	hasnt "$(caisson template ls --format '{{.Name}} {{.Kernel}}')" damaged
}

victim_runs() { grep -lqzsx guest=caisson-victim /proc/[0-9]*/cmdline; }
# A start goes on when its command has been killed.
settled() { ! status_is victim created || ! monitor_of victim; }

# What the database says of the victim, and what runs, is the same.
state_is_true() {
	local seen
	caisson ps -a > /dev/null || return 1
	caisson inspect victim > /dev/null 2> "$BATS_TEST_TMPDIR/err" || {
		grep -q 'No such' "$BATS_TEST_TMPDIR/err" || fail "$(cat "$BATS_TEST_TMPDIR/err")"
		return
	}
	eventually 60 settled
	case $(field victim .State.Status) in
	running) # or about to end, where a stop was killed
		seen=$(timeout 30 "$CAISSON" exec victim echo alive 2>&1) && is "$seen" alive || eventually 10 has_ended || fail "running, but: $seen"
		;;
	created | exited) eventually 10 eval '! victim_runs' ;;
	*) fail "victim is $(field victim .State.Status)" ;;
	esac
}

can_be_used() { timeout 60 "$CAISSON" start victim > /dev/null && [ "$(timeout 30 "$CAISSON" exec victim echo works)" = works ]; }

is_gone() { ! caisson inspect victim > /dev/null 2>&1; }
has_ended() { is_gone || status_is victim exited; }

next_commands_work() {
	if caisson inspect victim > /dev/null 2>&1; then
		# one that still ends counts as started, and may go with its end
		can_be_used || { eventually 10 has_ended && { is_gone || can_be_used; }; } || is_gone || fail 'start after the kill'
		is_gone || timeout 30 "$CAISSON" rm -f victim > /dev/null || fail 'rm after the kill'
	else
		is "$(timeout 60 "$CAISSON" run --rm "$IMAGE" echo works 2> /dev/null)" works
	fi
}

# kills PREPARE MOST KINDS COMMAND...: a process of one of the kinds dies at most MOST ms after it has come, while the command runs
kills() {
	local prepare=$1 most=$2 kinds=($3) i kind delay client killer said
	shift 3
	RANDOM=$((E2E_SEED + BATS_TEST_NUMBER))
	for ((i = 1; i <= E2E_KILLS; i++)); do
		kind=${kinds[RANDOM % ${#kinds[@]}]} delay=$((RANDOM % most))
		$prepare
		python3 "$BATS_TEST_DIRNAME/kill-one.py" "$kind" "$delay" > "$BATS_TEST_TMPDIR/killed" 3>&- &
		killer=$!
		sleep 0.1
		timeout 100 "$CAISSON" "$@" > "$BATS_TEST_TMPDIR/out" 2>&1 < /dev/null 3>&- &
		client=$!
		wait $killer
		said="try $i of '$*' (E2E_SEED=$E2E_SEED): $kind, after $delay ms: $(cat "$BATS_TEST_TMPDIR/killed")"
		echo "$kind $([ -s "$BATS_TEST_TMPDIR/killed" ] && echo killed || echo 'had ended')" >> "$E2E_DIR/kills.log"
		wait $client || [ $? != 124 ] || fail "$said" 'the command hangs' "$(cat "$BATS_TEST_TMPDIR/out")"
		remember_ids
		state_is_true || fail "$said"
		next_commands_work || fail "$said"
		remove_all
		eventually 60 nobody_builds || fail "$said"
		eventually 10 eval 'no_leftovers && [ -z "$(strays)" ]' || fail "$said" "$(leftovers)" "$(strays)"
		all_templates_whole || fail "$said"
	done
}

nothing_there() { put_templates none; }
a_template() { put_templates; }
a_created_one() {
	put_templates
	caisson create --name victim "$IMAGE" sleep 1000 > /dev/null
}
a_running_one() { # a_running_one [OPTIONS...]
	put_templates
	caisson run -d --name victim "$@" "$IMAGE" sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done' > /dev/null
}
a_sharing_one() { a_running_one -v "$E2E_DIR/share:/x"; }

@test "a start" { kills a_created_one 500 'command monitor qemu holder names' start victim; }

@test "a run --rm" { kills a_template 700 'command monitor qemu holder names' run --rm --name victim "$IMAGE" sh -c 'echo x > /y; sleep 0.2'; }

@test "a start with a share" {
	kills a_template 700 'command monitor qemu virtiofsd' run -d --name victim -v "$E2E_DIR/share:/x" "$IMAGE" sh -c 'touch /x/y; sleep 1000'
}

@test "a start that boots" { kills a_template 3000 'command monitor qemu' run -d --name victim --fresh-boot "$IMAGE" sleep 1000; }

@test "a first start, which builds the template" { kills nothing_there 3500 'command monitor template-qemu qemu' run -d --name victim "$IMAGE" sleep 1000; }

@test "a template that is built beside a container" { kills a_template 4000 'monitor builder template-qemu' run -d --name victim -m 64m "$IMAGE" sleep 2; }

@test "a template build" { kills nothing_there 3500 'command template-qemu' template build; }

@test "a stop" { kills a_running_one 300 'command monitor qemu holder' stop -t 5 victim; }

@test "a stop of one with a share" { kills a_sharing_one 300 'command monitor qemu virtiofsd' stop -t 5 victim; }

@test "a rm -f" { kills a_sharing_one 100 'command monitor qemu virtiofsd' rm -f victim; }

@test "the template can be built after all that, and no work is left" {
	put_templates none
	is "$(caisson template build)" "$NAME"
	caisson template rm --all > /dev/null
	is "$(ls "$TEMPLATES/")" ''
	sort "$E2E_DIR/kills.log" | uniq -c | sed 's/^/# /' >&3
}
