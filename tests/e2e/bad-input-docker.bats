# The rows of bad-input.table against docker itself: the exit statuses that the table says of it are its own.
load lib
load bad-input

setup_file() {
	e2e_setup_file
	load dockerd
	load bad-input
	dockerd_up
	[ -z "${NO_DOCKER:-}" ] || return 0
	surroundings
	docker pull -q "$IMAGE" > /dev/null
	TOOL=docker objects
}

setup() {
	load dockerd
	[ -z "${NO_DOCKER:-}" ] || skip "$NO_DOCKER"
}

teardown_file() {
	load dockerd
	[ -n "${NO_DOCKER:-}" ] || docker ps -aq | xargs -r /usr/bin/docker rm -f > /dev/null
	stop_dockerd || true
	load bad-input
	end_surroundings
	e2e_teardown_file
}

@test "the command line" { docker_rows 'command line'; }

@test "options of run" { docker_rows 'options of run'; }

@test "mounts and devices" { docker_rows 'mounts and devices'; }

@test "networks and ports" { docker_rows 'networks and ports'; }

@test "containers and their states" { docker_rows 'containers and their states'; }

@test "images and volumes" { docker_rows 'images and volumes'; }

@test "other commands" { docker_rows 'other commands'; }

@test "names and arguments" { docker_rows 'names and arguments'; }

@test "registries" { docker_rows 'registries'; }
