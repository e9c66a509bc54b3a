# What the lists show and what can be asked of them: filters, formats, columns. The mode plays no part.
load lib

setup_file() {
	e2e_setup_file
	caisson tag "$IMAGE" other:1
	caisson network create net1 > /dev/null
	caisson create --name first --label tier=one -v data:/data -v "$E2E_DIR:/host" -p 8080:80 -p 53:5353/udp "$IMAGE" true > /dev/null
	caisson create --name second --label tier=two --label both --network net1 other:1 sleep 1000 > /dev/null
	caisson run --name third --network none "$IMAGE" sh -c 'exit 3' || [ $? -eq 3 ]
	caisson run -d --name 'fourth.x' --network none "$IMAGE" sleep 1000 > /dev/null
}

names() { # names FILTER...
	local f args=()
	for f; do args+=(--filter "$f"); done
	caisson ps -a "${args[@]}" --format '{{.Names}}' | tr '\n' ' '
}

@test "ps: filters" {
	local id
	id=$(id_of second)
	is "$(names)" 'fourth.x third second first '
	is "$(names "id=${id:0:12}")" 'second '
	is "$(names name=ir)" 'third first '
	is "$(names 'name=^(fir|sec)')" 'second first '
	is "$(names 'name=/first')" 'first '
	is "$(names 'name=fourth\.x$')" 'fourth.x '
	is "$(names 'name=fi(')" ''
	is "$(names label=tier)" 'second first '
	is "$(names label=tier=two label=both)" 'second '
	is "$(names label=tier=one label=both)" ''
	is "$(names exited=3)" 'third '
	is "$(names exited=0)" ''
	is "$(names status=created status=running)" 'fourth.x second first '
	is "$(names ancestor=other:1)" 'fourth.x third second first '
	is "$(names "ancestor=$(caisson images -q other:1)")" 'fourth.x third second first '
	is "$(names ancestor=none)" ''
	is "$(names before=third)" 'second first '
	is "$(names since=second)" 'fourth.x third '
	is "$(names before=third since=first)" 'second '
	is "$(names volume=data)" 'first '
	is "$(names volume=/data)" 'first '
	is "$(names "volume=$E2E_DIR")" 'first '
	is "$(names volume=dat)" ''
	is "$(names network=net1)" 'second '
	is "$(names "network=$(caisson network inspect -f '{{.Id}}' net1)")" 'second '
	is "$(names health=none | wc -w)" 4
	is "$(names health=healthy)" ''
	is "$(names is-task=false | wc -w)" 4
	is "$(names is-task=true)" ''
	is "$(names "isolation=$MODE" | wc -w)" 4
	is "$(names expose=80)" 'first '
	is "$(names publish=5000-6000/udp)" 'first '
	is "$(names publish=8080)" ''
	is "$(caisson ps -q --filter status=exited | wc -l)" 1
}

@test "ps: filters that are wrong" {
	local f
	for f in colour=red status=asleep exited=x health=ill is-task=maybe publish=x expose=99999999 expose=9-1 publish=1/icmp isolation=jail; do
		run -1 --separate-stderr caisson ps --filter "$f"
		matches "$stderr" "${f%%=*}|${f#*=}"
		is "$output" ''
	done
	run -1 --separate-stderr caisson ps --filter before=nobody
	has "$stderr" 'No such container: nobody'
	run -125 --separate-stderr caisson ps --filter name
	has "$stderr" 'bad format of filter (expected name=value)'
}

@test "ps: -a -n -l -q --no-trunc and the columns" {
	is "$(caisson ps --format '{{.Names}}')" fourth.x
	is "$(caisson ps -n 2 --format '{{.Names}}')" $'fourth.x\nthird'
	is "$(caisson ps -l --format '{{.Names}}')" fourth.x
	is "$(caisson ps -lq --no-trunc)" "$(id_of fourth.x)"
	is "$(caisson ps -q)" "$(id_of fourth.x | cut -c 1-12)"
	matches "$(caisson ps -a | head -1)" '^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES +ISOLATION$'
	matches "$(caisson ps -as | head -1)" 'NAMES +ISOLATION +SIZE$'
	is "$(caisson ps -a --filter name=second --format '{{.Command}} {{.Label "tier"}} {{.Networks}} {{.State}} {{.Status}} {{.LocalVolumes}}')" \
		'"sleep 1000" two net1 created Created 0'
	matches "$(caisson ps -a --filter name=first --format '{{.LocalVolumes}} {{.Mounts}}')" '^1 (data,/var/tmp/caiss…|/var/tmp/caiss…,data)$'
	matches "$(caisson ps -a --format 'table {{.Names}}\t{{.Label "tier"}}' | head -1)" '^NAMES +tier$'
	matches "$(caisson container ls -a --format json | head -1)" '^\{"Command":.*"Names":"fourth\.x"'
	is "$(caisson ps -a --format '{{if eq .State "exited"}}{{.Names | upper}}{{else}}-{{end}}' | tr -d '\n')" -THIRD--
}

@test "system df: sums, -v, formats" {
	printf 12345 > "$CAISSON_ROOT/volumes/data/_data/file"
	caisson volume create unused > /dev/null
	head -c 5000 /dev/zero > "$CAISSON_ROOT/volumes/unused/_data/file"
	run -0 --separate-stderr caisson system df
	matches "${lines[0]}" '^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE$'
	matches "${lines[1]}" '^Images +1 +1 +3\.[0-9]+MB +0B \(0%\)$'
	matches "${lines[2]}" '^Containers +4 +1 +0B +0B$'
	matches "${lines[3]}" '^Local Volumes +2 +1 +5\.005kB +5kB \(99%\)$'
	matches "${lines[4]}" '^Build Cache +0 +0 +0B +0B$'
	run -0 --separate-stderr caisson system df -v
	matches "$output" 'Images space usage:.*REPOSITORY +TAG +IMAGE ID +CREATED +SIZE +SHARED SIZE +UNIQUE SIZE +CONTAINERS.*caisson-test/busybox +latest .* 0B +1\.9[0-9]+MB +4'
	matches "$output" 'Containers space usage:.*CONTAINER ID +IMAGE +COMMAND +LOCAL VOLUMES +SIZE +CREATED +STATUS +NAMES'
	matches "$output" 'VOLUME NAME +LINKS +SIZE.*data +1 +5B.*unused +0 +5kB'
	has "$output" 'Build cache usage: 0B'
	is "$(caisson system df -v --format '{{range .Volumes}}{{.Name}}={{.Links}} {{end}}')" 'data=1 unused=0 '
	run -0 --separate-stderr sh -c "'$CAISSON' system df --format json | python3 -c 'import json, sys; print([json.loads(x)[\"Type\"] for x in sys.stdin][2])'"
	is "$output" 'Local Volumes'
	caisson volume rm unused > /dev/null
}

@test "images share what they have in common" {
	caisson pull -q "$IMAGES/config" > /dev/null
	run -0 caisson system df -v --format '{{range .Images}}{{.Repository}} {{.SharedSize}} {{.UniqueSize}} {{.Containers}}{{"\n"}}{{end}}'
	matches "$output" $'/busybox 1\\.9[0-9]+MB 0B 4\n'
	matches "$output" $'/config 1\\.9[0-9]+MB [0-9]+B 0\n'
	is "$(caisson images --format '{{.SharedSize}} {{.Containers}}' other | head -1)" 'N/A N/A'
	caisson rmi "$IMAGES/config" > /dev/null
}

# Every field that docker's pages name, and its header.
fields() { # fields COMMAND FIELD=HEADER...: the command may have options, the last field's header may have spaces
	local command=$1 f template=
	shift
	for f; do template+="\t{{.${f%%=*}}}"; done
	# shellcheck disable=SC2086
	run -0 --separate-stderr caisson $command --format "table ${template#??}"
	is "$(head -1 <<< "$output" | sed 's/  */ /g; s/ *$//')" "$(printf '%s ' "${@#*=}" | sed 's/ *$//')"
	[[ $command != stats* ]] || return 0 # each of them takes its time
	# shellcheck disable=SC2086
	run -0 --separate-stderr sh -c "'$CAISSON' $command --format json | python3 -c 'import json, sys; [json.loads(x) for x in sys.stdin]'"
	# shellcheck disable=SC2086
	run -1 --separate-stderr caisson $command --format '{{.Nothing}}'
	has "$stderr" 'template parsing error: template: :1:2: executing "" at <.Nothing>'
	# shellcheck disable=SC2086
	run -1 --separate-stderr caisson $command --format '{{.ID'
	is "$stderr" 'caisson: template parsing error: template: :1: unclosed action'
}

@test "--format of the lists: docker's fields and headers" {
	fields 'ps -a' 'ID=CONTAINER ID' Names=NAMES Image=IMAGE Command=COMMAND 'CreatedAt=CREATED AT' RunningFor=CREATED Ports=PORTS State=STATE \
		Status=STATUS Size=SIZE Labels=LABELS Mounts=MOUNTS 'LocalVolumes=LOCAL VOLUMES' Networks=NETWORKS
	fields images 'ID=IMAGE ID' Repository=REPOSITORY Tag=TAG Digest=DIGEST CreatedSince=CREATED 'CreatedAt=CREATED AT' Size=SIZE \
		Containers=CONTAINERS VirtualSize=SIZE 'SharedSize=SHARED SIZE' 'UniqueSize=UNIQUE SIZE'
	fields 'network ls' 'ID=NETWORK ID' Name=NAME Driver=DRIVER Scope=SCOPE IPv4=IPV4 IPv6=IPV6 Internal=INTERNAL Labels=LABELS 'CreatedAt=CREATED AT'
	fields 'volume ls' 'Name=VOLUME NAME' Driver=DRIVER Scope=SCOPE Mountpoint=MOUNTPOINT Labels=LABELS Links=LINKS Size=SIZE Status=STATUS
	fields "history $IMAGE" ID=IMAGE CreatedSince=CREATED 'CreatedAt=CREATED AT' 'CreatedBy=CREATED BY' Size=SIZE Comment=COMMENT
	fields 'stats --no-stream' Container=CONTAINER Name=NAME 'ID=CONTAINER ID' 'CPUPerc=CPU %' 'MemUsage=MEM USAGE / LIMIT' 'MemPerc=MEM %' \
		'NetIO=NET I/O' 'BlockIO=BLOCK I/O' PIDs=PIDS
	fields 'system df' Type=TYPE TotalCount=TOTAL Active=ACTIVE Size=SIZE Reclaimable=RECLAIMABLE
}

@test "--format of one object: info, version, inspect" {
	run -0 --separate-stderr caisson info --format '{{.ServerVersion}} {{.Swarm.LocalNodeState}} {{join .Plugins.Network ","}} {{.CgroupDriver}} {{.OSType}}'
	matches "$output" '^[0-9.]+ inactive bridge,host,null cgroupfs linux$'
	run -0 --separate-stderr caisson version --format '{{.Client.APIVersion}} {{.Client.Context}} {{.Server.Os}}/{{.Server.Arch}} {{(index .Server.Components 0).Name}}'
	matches "$output" '^1\.[0-9]+ default linux/amd64 Engine$'
	is "$(caisson inspect -f '{{.ID}} {{.Id}}' first)" "$(id_of first) $(id_of first)"
	is "$(caisson inspect -f '{{.Config.Volumes}}{{.Config.Entrypoint}}{{.HostConfig.PidsLimit}}{{json .Config.Entrypoint}}' second)" 'map[][]<nil>null'
	is "$(caisson inspect -f '{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}{{with .State}}{{.Status | title}}{{end}}\t{{printf "%05d|%-4s|%q" 42 "ab" "x"}}' second)" \
		'both=;tier=two;Created\t00042|ab  |"x"'
	is "$(caisson inspect -f '{{index .HostConfig.PortBindings "80/tcp" | len}} {{(index (index .HostConfig.PortBindings "80/tcp") 0).HostPort}}' first)" '1 8080'
	is "$(caisson inspect --type volume -f '{{.Name}}' data) $(caisson inspect --type network -f '{{.Name}}' net1) $(caisson inspect -f '{{.Driver}}' net1)" 'data net1 bridge'
	run -1 --separate-stderr caisson inspect --type image first
	has "$stderr" 'No such image: first'
	run -1 --separate-stderr caisson inspect --type jar first
	has "$stderr" 'jar'
	run -64 --separate-stderr caisson events --until 0s --format '{{.X'
	has "$stderr" 'template parsing error: template: :1: unclosed action'
	local command
	for command in info version 'inspect first' 'network inspect net1' 'volume inspect data' 'image inspect other:1'; do
		# shellcheck disable=SC2086
		run -64 --separate-stderr caisson $command --format '{{.X'
		is "$stderr" 'caisson: template parsing error: template: :1: unclosed action'
		# shellcheck disable=SC2086
		run -1 --separate-stderr caisson $command --format '{{.Nothing}}'
		has "$stderr" 'template parsing error: template: :1:2: executing "" at <.Nothing>: map has no entry for key "Nothing"'
	done
}
