# What is done to a container or an image that is there: pause, unpause, tag, history.
load lib

teardown() {
	remove_all
	assert_nothing_left
}

# One that counts as fast as it can, into its output.
counting() { caisson run -d --name "$1" "$IMAGE" sh -c 'trap "exit 0" TERM; i=0; while :; do i=$((i + 1)); echo $i; sleep 0.05; done' > /dev/null; }
count() { caisson logs "$1" | tail -n 1; }
counts() { # counts CONTAINER: it goes on
	local before
	before=$(count "$1")
	eventually 10 eval "[ \"\$(count '$1')\" -gt '${before:-0}' ]"
}
stands() { # stands CONTAINER: it does not
	local before
	sleep 0.3 # what is under way
	before=$(count "$1")
	sleep 0.7
	is "$(count "$1")" "$before"
}

@test "pause and unpause: nothing runs meanwhile, and then it goes on where it was" {
	counting box
	counts box
	run -0 caisson pause box
	is "$output" box
	stands box
	run -0 caisson inspect --format '{{.State.Status}} {{.State.Paused}} {{.State.Running}}' box
	is "$output" 'paused true true'
	run -0 caisson ps --format '{{.Names}} {{.Status}}'
	matches "$output" '^box Up .* \(Paused\)$'
	run -0 caisson ps -q --filter status=paused
	[ -n "$output" ]
	run -0 caisson info --format '{{.ContainersPaused}}'
	is "$output" 1
	run -0 caisson unpause box
	is "$output" box
	counts box
	status_is box running
}

@test "a clock goes on with the machine that was paused" {
	counting box
	counts box
	caisson pause box > /dev/null
	sleep 3
	caisson unpause box > /dev/null
	counts box
	local inside
	inside=$(caisson exec box date +%s)
	[ $(($(date +%s) - inside)) -le 1 ] || fail "$(date +%s) outside, $inside inside"
}

@test "several at once, by their other names, and what is wrong with one does not keep the others" {
	counting one
	counting two
	run -1 --separate-stderr caisson container pause one nope two
	is "$output" $'one\ntwo'
	has "$stderr" 'No such container: nope'
	stands one
	stands two
	run -0 caisson container unpause one two
	counts two
}

@test "refused: what is paused, what is not, what does not run" {
	local id
	counting box
	id=$(id_of box)
	run -1 --separate-stderr caisson unpause box
	is "$stderr" "caisson: Container $id is not paused"
	caisson pause box > /dev/null
	run -1 --separate-stderr caisson pause box
	is "$stderr" "caisson: Container $id is already paused"
	run -1 --separate-stderr caisson exec box true
	is "$stderr" "caisson: Container $id is paused, unpause the container before exec"
	caisson kill box > /dev/null
	eventually 10 status_is box exited
	run -1 --separate-stderr caisson pause box
	is "$stderr" "caisson: Container $id is not running"
	run -1 --separate-stderr caisson unpause box
	is "$stderr" "caisson: Container $id is not paused"
	run -1 --separate-stderr caisson pause
	has "$stderr" 'requires at least 1 argument'
}

@test "a paused container is stopped, killed, waited for and removed" {
	counting box
	counts box # it listens to signals
	caisson pause box > /dev/null
	caisson stop -t 20 box > /dev/null
	run -0 caisson wait box
	is "$output" 0 # it has heard of it
	caisson rm box > /dev/null
	counting box
	caisson pause box > /dev/null
	caisson kill box > /dev/null
	run -0 caisson wait box
	is "$output" 137
	caisson start box > /dev/null
	counts box
	caisson pause box > /dev/null
	caisson rm -f box > /dev/null
}

@test "a paused container whose monitor is killed" {
	counting box
	caisson pause box > /dev/null
	kill -9 "$(monitor_of box)"
	eventually 10 status_is box exited
	caisson start box > /dev/null
	counts box
}

@test "tag: one more name, which is gone without the image" {
	caisson tag "$IMAGE" other/name:v1
	run -0 caisson images -q other/name
	is "$output" "$(caisson images -q "$IMAGE")"
	run -0 caisson run --rm other/name:v1 echo ran
	is "$output" ran
	caisson image tag other/name:v1 plain
	run -0 caisson images --format '{{.Repository}}:{{.Tag}}'
	has "$output" plain:latest
	run -0 caisson rmi other/name:v1 plain
	has "$output" 'Untagged: other/name:v1'
	hasnt "$output" Deleted
	caisson run --rm "$IMAGE" true
}

@test "tag: a name that another image has moves; what is no name is refused" {
	caisson tag "$IMAGES/debian" taken 2> /dev/null || caisson tag "$IMAGE" taken
	caisson tag "$IMAGE" taken
	run -0 caisson images -q taken
	is "$output" "$(caisson images -q "$IMAGE")"
	caisson rmi taken > /dev/null
	run -1 --separate-stderr caisson tag nope new
	is "$stderr" 'caisson: No such image: nope'
	run -1 --separate-stderr caisson tag "$IMAGE" upper/CASE
	has "$stderr" 'invalid reference format'
	run -1 --separate-stderr caisson tag "$IMAGE" "new@sha256:$(printf '%064d' 0)"
	has "$stderr" 'refusing to create a tag with a digest reference'
	run -1 --separate-stderr caisson tag "$IMAGE"
	has "$stderr" 'requires exactly 2 arguments'
}

@test "history: the steps of an image, the last one first" {
	local id
	mkdir "$BATS_TEST_TMPDIR/root"
	tar -C "$BATS_TEST_TMPDIR/root" -cf "$BATS_TEST_TMPDIR/root.tar" .
	id=$(caisson import -m 'from nothing' "$BATS_TEST_TMPDIR/root.tar" made)
	run -0 caisson history made
	matches "${lines[0]}" '^IMAGE +CREATED +CREATED BY +SIZE +COMMENT$'
	matches "${lines[1]}" "^${id:7:12} .* ago .* 0B +from nothing$"
	run -0 caisson history -q --no-trunc made
	is "$output" "$id"
	run -0 caisson image history --human=false --format '{{.CreatedAt}} {{.Size}}' made
	matches "$output" '^20[0-9-]+T[0-9:]+Z 0$'
	run -0 caisson history --format '{{.Size}}' "$IMAGE"
	matches "$output" 'MB|kB'
	run -1 --separate-stderr caisson history nope
	is "$stderr" 'caisson: No such image: nope'
	caisson rmi made > /dev/null
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}

@test "ps --size: what a container wrote, while it runs, stands still and after its end" {
	caisson run -d --name wrote --network none "$IMAGE" sh -c 'dd if=/dev/zero of=/file bs=1000 count=2000; touch /done; exec sleep 1000' > /dev/null
	caisson create --name empty "$IMAGE" true > /dev/null
	eventually 20 caisson exec wrote test -e /done
	matches "$(caisson ps -as --format '{{.Names}} {{.Size}}')" $'^empty 0B \(virtual 1\.9[0-9]MB\)\nwrote 2(\.0[0-9])?MB \(virtual (4|3\.9[0-9])MB\)$|^wrote 2MB \(virtual .*MB\)\nempty 0B'
	run -0 --separate-stderr caisson top wrote -o pid,args
	matches "$output" $'^PID +COMMAND\n[0-9]+ +sleep 1000$'
	matches "$(caisson top wrote -ef | head -1)" '^UID +PID +PPID +C +STIME +TTY +TIME +CMD$'
	run -0 --separate-stderr caisson top wrote aux
	matches "${lines[0]}" '^USER +PID +%CPU +%MEM +VSZ +RSS +TTY +STAT +START +TIME +COMMAND$'
	run -1 --separate-stderr caisson top wrote --forest
	has "$stderr" "ps option '--forest' is not known"
	run -1 --separate-stderr caisson top wrote -o pid,colour
	has "$stderr" 'specifier "colour"'
	caisson pause wrote > /dev/null
	run -0 caisson inspect -s --format '{{ge .SizeRw 0}} {{gt .SizeRootFs .SizeRw}}' wrote
	is "$output" 'true true'
	caisson unpause wrote > /dev/null
	caisson stop -t 0 wrote > /dev/null
	matches "$(caisson system df --format '{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}')" $'\nContainers 2 0 2(\.0[0-9]+)?MB 2(\.0[0-9]+)?MB \(100%\)\n'
	has "$(caisson container prune -f)" 'reclaimed space: 2'
}
