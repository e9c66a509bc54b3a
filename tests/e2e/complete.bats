# Completion: what `caisson __complete` answers, and that bash, zsh and fish do with it what they should. The mode plays no part.
load lib

setup_file() {
	e2e_setup_file
	caisson tag "$IMAGE" other:1
	caisson network create net1 > /dev/null
	caisson volume create data > /dev/null
	caisson create --name idle "$IMAGE" true > /dev/null
	caisson run -d --name busy --network none "$IMAGE" sleep 1000 > /dev/null
	mkdir -p "$E2E_DIR/dir" && touch "$E2E_DIR/dir/file.tar"
	export COMPLETION=$BATS_TEST_DIRNAME/../../data/completion
}

candidates() { # candidates WORD...: without descriptions, in a line
	caisson __complete "$@" | sed 's/\t.*//' | tr '\n' ' '
}

@test "commands, groups and their commands, global options" {
	is "$(candidates ver)" 'version : '
	is "$(candidates con)" 'container : '
	is "$(candidates container un)" 'unpause : '
	is "$(candidates volume r)" 'rm remove : '
	is "$(candidates --roo)" '--root : '
	is "$(candidates --root "$E2E_DIR/d")" ':directories '
	is "$(candidates help network con)" 'connect : '
	is "$(candidates nonsense '')" ': '
	is "$(candidates volume nonsense '')" ': '
	is "$(candidates)" "$(candidates '')"
	matches "$(caisson __complete version)" $'^version\tShow'
}

@test "things that there are, and of containers those that the command can do something to" {
	is "$(candidates start '')" 'idle : '
	is "$(candidates exec '')" 'busy : '
	is "$(candidates stop busy '')" ': '
	is "$(candidates rm '')" 'busy idle : '
	is "$(candidates container rm idle '')" 'busy : '
	is "$(candidates rm "$(id_of idle | cut -c 1-6)")" "$(id_of idle | cut -c 1-12) : "
	is "$(candidates volume rm '')" 'data : '
	is "$(candidates volume create '')" ': '
	is "$(candidates network rm net)" 'net1 : '
	is "$(candidates network connect net1 '')" 'busy idle : '
	is "$(candidates network create '')" ': '
	is "$(candidates run other)" 'other:1 : '
	is "$(candidates run --rm "${IMAGE%sybox}")" "$IMAGE : "
	is "$(candidates rmi "$IMAGE:")" "$IMAGE:latest : "
	is "$(candidates run other:1 '')" ': '
	is "$(candidates inspect da)" 'data : '
	is "$(candidates import '')" ':files '
	is "$(candidates cp b)" 'busy: :nospace '
	is "$(candidates cp ./x '')" 'busy: idle: :nospace '
	is "$(candidates cp busy:/x '')" ':files '
	is "$(candidates cp /x)" ':files '
	is "$(candidates kernel use a)" 'auto : '
	is "$(CAISSON_ROOT=$E2E_DIR/nothing candidates --root "$CAISSON_ROOT" start '')" 'idle : '
	is "$(CAISSON_ROOT=$E2E_DIR/nothing candidates --root="$CAISSON_ROOT" start '')" 'idle : '
}

@test "values of options" {
	is "$(candidates run --isolation '')" 'default hyperv process vm : '
	is "$(candidates run --isolation=pro)" '--isolation=process : '
	is "$(candidates run --restart un)" 'unless-stopped : '
	is "$(candidates run --pull=m)" '--pull=missing : '
	is "$(candidates run -it --network net)" 'net1 : '
	is "$(candidates run --network=container:b)" '--network=container:busy : '
	is "$(candidates run -v '')" 'data: :nospace '
	is "$(candidates run -v /d)" ':files '
	is "$(candidates run --cap-add SYS_AD)" 'SYS_ADMIN : '
	is "$(candidates kill -s US)" 'USR1 USR2 : '
	is "$(candidates run --rm=)" '--rm=true --rm=false : '
	is "$(candidates run -- --isol)" ': '
	is "$(candidates inspect --type net)" 'network : '
	is "$(candidates audit --require own)" 'own-kernel : '
	has "$(candidates ps -f '')" 'ancestor= before= '
	has "$(candidates ps -f '')" ':nospace'
	is "$(candidates ps --filter status=exi)" 'status=exited : '
	is "$(candidates ps --filter=before=i)" '--filter=before=idle : '
	is "$(candidates volume ls -f dangling=)" 'dangling=false dangling=true : '
}

# commands of --help, "container ls" for those of groups
all_commands() {
	"$CAISSON" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
	local group
	for group in $("$CAISSON" --help | sed -n '/^Management Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		"$CAISSON" "$group" --help | sed -n "/^Commands:/,/^\$/s/^  \\([a-z]*\\) .*/$group \\1/p"
	done
}

@test "the options that are completed are those of --help, for every command" {
	local command n=0
	while read -r command; do
		n=$((n + 1))
		# shellcheck disable=SC2086
		diff <("$CAISSON" $command --help | grep -oE '^ +(-[[:alnum:]], )?--[a-z][a-z0-9-]*' | grep -oE -- '--[a-z0-9-]+' | sort -u) \
			<("$CAISSON" __complete $command -- | sed -n 's/\t.*//; /^--/p' | grep -vx -- --help | sort) || fail "caisson $command"
	done < <(all_commands)
	[ "$n" -gt 60 ] || fail "only $n commands"
}

lines=(
	'ver\t' version
	'container unp\t' 'container unpause'
	'run --isolation=h\t' 'run --isolation=hyperv'
	'run --isol\th\t' 'run --isolation hyperv'
	'ps --filter status=exi\t' 'ps --filter status=exited'
	'ps --filter=status=exi\t' 'ps --filter=status=exited'
	'start i\t' 'start idle'
	'exec b\tls' 'exec busy ls'
	'run oth\tls' 'run other:1 ls'
	'rmi other:\t' 'rmi other:1'
	'volume rm d\t' 'volume rm data'
	'network rm ne\t' 'network rm net1'
	'run -v da\t/x --rest\tunl\t' 'run -v data:/x --restart unless-stopped'
	'run --network=container:b\t' 'run --network=container:busy'
)

shell_completes() { # shell_completes SHELL SCRIPT
	requires "$1" python3
	local typed=() expected=() i
	for ((i = 0; i < ${#lines[@]}; i += 2)); do
		typed+=("${lines[i]}")
		expected+=("${lines[i + 1]}")
	done
	typed+=("import $E2E_DIR/dir/fi\\t")
	expected+=("import $E2E_DIR/dir/file.tar")
	run -0 timeout 100 python3 "$BATS_TEST_DIRNAME/complete.py" "$1" "$COMPLETION/$2" "$CAISSON" "${typed[@]}"
	is "$(sed 's/ *$//' <<< "$output")" "$(printf '%s\n' "${expected[@]}")"
}

@test "bash" { shell_completes bash caisson.bash; }

@test "zsh" { shell_completes zsh _caisson; }

@test "fish" { shell_completes fish caisson.fish; }

@test "fish shows descriptions" {
	requires fish
	run -0 env HOME="$E2E_DIR" PATH="$(dirname "$CAISSON"):$PATH" fish --no-config -c "source $COMPLETION/caisson.fish; complete -C 'caisson volume pr'"
	matches "$output" $'^prune\tRemove the anonymous volumes'
}
