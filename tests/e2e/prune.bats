# What nobody uses goes: container, volume, network and system prune; and what takes room: system df. Containers are made here, but hardly run.
load lib

teardown() {
	touch "$E2E_DIR/stop"
	remove_all
	caisson volume prune -af > /dev/null
	assert_nothing_left
}

@test "volume create: names, labels, driver, options" {
	is "$(caisson volume create --label a=b --label c data)" data
	is "$(caisson volume inspect data --format '{{json .Labels}} {{.Driver}} {{.Scope}} {{.Mountpoint}} {{json .Options}}')" \
		"{\"a\":\"b\",\"c\":\"\"} local local $CAISSON_ROOT/volumes/data/_data null"
	is "$(caisson volume create data)" data # it is there: no error, as in docker
	matches "$(caisson volume create)" '^[0-9a-f]{64}$'
	run -1 --separate-stderr caisson volume create -d nfs x
	has "$stderr" "plugin nfs"
	run -1 --separate-stderr caisson volume create 'a b'
	has "$stderr" 'includes invalid characters'
	run -1 --separate-stderr caisson volume create -o type=tmpfs -o device=tmpfs x
	has "$stderr" 'use --tmpfs'
	run -1 --separate-stderr caisson volume create -o type=nfs -o device=:/x x
	has "$stderr" 'type=nfs is not supported'
	run -1 --separate-stderr caisson volume create -o type=none -o o=bind x
	has "$stderr" 'missing device in volume options'
	run -1 --separate-stderr caisson volume create -o colour=red x
	has "$stderr" 'invalid option: "colour"'
	run -1 --separate-stderr caisson volume inspect x
	is "$output" '[]'
	has "$stderr" 'no such volume'
}

@test "a volume that is a directory of the host" {
	mkdir "$E2E_DIR/srv"
	caisson volume create -o type=none -o o=bind -o device="$E2E_DIR/srv" srv > /dev/null
	is "$(caisson volume inspect srv --format '{{.Options.device}} {{index .Options "o"}}')" "$E2E_DIR/srv bind"
	caisson run --rm -v srv:/srv --network none "$IMAGE" sh -c 'echo hello > /srv/file'
	is "$(cat "$E2E_DIR/srv/file")" hello
	caisson volume rm srv > /dev/null
	is "$(cat "$E2E_DIR/srv/file")" hello
	caisson volume create -o type=none -o o=bind -o device="$E2E_DIR/none" none > /dev/null
	run -1 --separate-stderr caisson create -v none:/srv "$IMAGE"
	has "$stderr" "volume none: its device $E2E_DIR/none"
}

@test "volume ls: filters, formats" {
	caisson volume create --label tier=one one > /dev/null
	caisson volume create --label tier=two two > /dev/null
	caisson create --name user -v one:/one -v /nameless "$IMAGE" > /dev/null
	is "$(caisson volume ls -qf name=o -f label=tier)" $'one\ntwo'
	is "$(caisson volume ls -qf label=tier=two -f driver=local)" two
	is "$(caisson volume ls -qf dangling=true)" two
	is "$(caisson volume ls -f dangling=false -f name=one --format '{{.Name}} {{.Label "tier"}} {{.Labels}}')" 'one one tier=one'
	is "$(caisson volume ls -qf driver=other)" ''
	has "$(caisson volume ls --format 'table {{.Name}}\t{{.Label "tier"}}')" "VOLUME NAME"
	run -1 --separate-stderr caisson volume ls -f size=1
	has "$stderr" "invalid filter 'size'"
	run -1 --separate-stderr caisson volume rm one
	has "$stderr" 'volume is in use'
	run -1 --separate-stderr caisson volume rm three
	has "$stderr" 'no such volume'
	run -0 caisson volume rm -f three two
}

@test "volume prune: anonymous ones, all, filters, the question" {
	caisson volume create --label keep named > /dev/null
	caisson create --name user -v /nameless -v used:/used "$IMAGE" > /dev/null
	local anonymous used
	anonymous=$(caisson volume create)
	used=$(caisson volume ls -qf dangling=false)
	head -c 100000 /dev/zero > "$CAISSON_ROOT/volumes/$anonymous/_data/file"
	run -0 --separate-stderr caisson volume prune <<< n
	has "$output" $'WARNING! This will remove anonymous local volumes not used by at least one container.\nAre you sure you want to continue? [y/N] '
	has "$output" 'Total reclaimed space: 0B' # as docker 20.10
	is "$(caisson volume ls -qf dangling=true | wc -l)" 2
	run -0 --separate-stderr caisson volume prune <<< y
	has "$output" $'Deleted Volumes:\n'"$anonymous"$'\n\nTotal reclaimed space: 100kB'
	run -1 --separate-stderr caisson volume prune -a --filter all=1
	has "$stderr" 'conflicting options: cannot specify both --all and --filter all=1'
	run -0 --separate-stderr caisson volume prune -af --filter 'label!=keep'
	is "$output" 'Total reclaimed space: 0B'
	run -0 --separate-stderr caisson volume prune -f --filter all=true --filter label=keep
	is "$output" $'Deleted Volumes:\nnamed\n\nTotal reclaimed space: 0B'
	is "$(caisson volume ls -q)" "$used"
	run -1 --separate-stderr caisson volume prune -f --filter until=1h
	has "$stderr" "invalid filter 'until'"
	[ ! -e "$CAISSON_ROOT/volumes/named" ] || fail 'its directory stayed'
}

@test "a prune beside creations takes no volume away from a container" {
	local i
	rm -f "$E2E_DIR/stop"
	( while [ ! -e "$E2E_DIR/stop" ]; do caisson volume prune -af > /dev/null || exit 1; done ) &
	local pid=$!
	for i in 1 2 3 4 5 6 7 8; do
		caisson create --name "c$i" -v "v$i:/v" -v /nameless "$IMAGE" > /dev/null
	done
	touch "$E2E_DIR/stop"
	ends_with 0 $pid
	is "$(caisson volume ls -qf dangling=false | wc -l)" 16
	for i in $(caisson volume ls -q); do
		[ -d "$CAISSON_ROOT/volumes/$i/_data" ] || fail "$i has no directory"
	done
}

@test "system prune: what goes is named beforehand, and nothing else goes" {
	caisson network create net1 > /dev/null
	caisson network create unused > /dev/null
	caisson run -d --name up -v kept:/kept --network net1 "$IMAGE" sleep 1000 > /dev/null
	caisson create --name made "$IMAGE" > /dev/null
	caisson volume create named > /dev/null
	local anonymous made
	anonymous=$(caisson volume create)
	made=$(id_of made)
	run -0 --separate-stderr caisson system prune <<< n
	is "$output" $'WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n  - all dangling images\n\nAre you sure you want to continue? [y/N] '
	run -0 --separate-stderr caisson system prune -a --volumes --filter label=x --filter 'label!=y=z' <<< y
	has "$output" $'  - all anonymous volumes not used by at least one container\n  - all images without at least one container associated to them\n\n  Items to be pruned will be filtered with:\n  - label=x\n  - label!=y=z\n'
	has "$output" 'Total reclaimed space: 0B'
	hasnt "$output" Deleted
	run -1 --separate-stderr caisson system prune -f --volumes --filter until=1h
	has "$stderr" 'the "until" filter is not supported with "--volumes"'
	run -0 --separate-stderr caisson system prune -f --filter until=1h
	is "$output" 'Total reclaimed space: 0B'
	caisson tag "$IMAGE" other:1
	run -0 --separate-stderr caisson system prune -f --volumes
	is "$output" $'Deleted Containers:\n'"$made"$'\n\nDeleted Networks:\nunused\n\nDeleted Volumes:\n'"$anonymous"$'\n\nTotal reclaimed space: 0B'
	is "$(caisson volume ls -q)" $'kept\nnamed'
	is "$(caisson ps -aq --format '{{.Names}}')" up
	caisson rm -f up > /dev/null
	run -0 --separate-stderr caisson system prune -af
	has "$output" $'Deleted Networks:\nnet1\n'
	matches "$output" $'Deleted Images:\n.*untagged: other:1\n.*deleted: sha256:[0-9a-f]{64}\n.*Total reclaimed space: [1-9]'
	is "$(caisson images -q)" ''
	caisson pull -q "$IMAGE" > /dev/null
}

@test "container prune: what does not run, filters, the room they took" {
	caisson run -d --name up --network none "$IMAGE" sleep 1000 > /dev/null
	caisson run --name wrote --network none "$IMAGE" dd if=/dev/zero of=/file bs=1000 count=2000 2> /dev/null
	caisson create --name made --label keep=yes "$IMAGE" > /dev/null
	local wrote made
	wrote=$(id_of wrote)
	made=$(id_of made)
	run -0 --separate-stderr caisson container prune <<< ''
	has "$output" $'WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] '
	run -0 --separate-stderr caisson container prune -f --filter until=1h
	is "$output" 'Total reclaimed space: 0B'
	run -0 --separate-stderr caisson container prune --filter 'label!=keep=yes' <<< Y
	has "$output" $'Deleted Containers:\n'"$wrote"$'\n\nTotal reclaimed space: 2MB'
	run -1 --separate-stderr caisson container prune -f --filter until=soon
	has "$stderr" 'until=soon'
	run -1 --separate-stderr caisson container prune -f --filter until=1h --filter until=2h
	has "$stderr" 'more than one until filter specified'
	run -1 --separate-stderr caisson container prune -f --filter name=up
	has "$stderr" "invalid filter 'name'"
	run -0 --separate-stderr caisson container prune -f --filter until=0s
	has "$output" "$made"
	is "$(caisson ps -a --format '{{.Names}}')" up
}
