# fish completion for caisson: asks `caisson __complete` what the word may become.

function __caisson_complete
	set -l words (commandline -opc)
	set -l word (commandline -ct)
	set -l answer ($words[1] __complete $words[2..-1] $word 2>/dev/null)
	test (count $answer) -gt 0; or return
	set -l end $answer[-1]
	set -e answer[-1]
	switch $end
		case :files :directories
			set -l before (string match -r -- '^-.*=' $word)
			set -l path $word
			test -n "$before"; and set path (string replace -r -- '^-[^=]*=' '' $word)
			if test $end = :files
				set answer (__fish_complete_path $path)
			else
				set answer (__fish_complete_directories $path)
			end
			printf '%s\n' "$before"$answer
		case '*'
			test (count $answer) -gt 0; and printf '%s\n' $answer
	end
end

complete -c caisson -f -a '(__caisson_complete)'
