using System.CommandLine;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen completion`: what makes a shell complete commands, options and their values.</summary>
internal static class CompletionCommand
{
    public const string Examples =
        """
        qwen completion bash >> ~/.bashrc
        qwen completion zsh >> ~/.zshrc
        qwen completion pwsh >> $PROFILE
        """;

    // Each asks qwen itself with the parser's directive [suggest:POSITION] and the line so far. Where that has no answer but options, and
    // no - has been typed, files are offered.
    private const string Bash =
        """
        _qwen() {
            local current="${COMP_WORDS[COMP_CWORD]}" word
            COMPREPLY=()
            while IFS= read -r word; do
                if [[ -n $word && $word == "$current"* && ( $word != -* || $current == -* ) ]]; then
                    COMPREPLY+=("$word")
                fi
            done < <("${COMP_WORDS[0]}" "[suggest:$COMP_POINT]" "$COMP_LINE" 2>/dev/null)
        }
        complete -o default -F _qwen qwen
        """;

    private const string Zsh =
        """
        _qwen() {
            local line="${words[1,CURRENT]}"
            local -a suggestions
            suggestions=("${(@f)$("${words[1]}" "[suggest:${#line}]" "$line" 2>/dev/null)}")
            [[ ${words[CURRENT]} == -* ]] || suggestions=("${(@)suggestions:#-*}")
            suggestions=("${(@)suggestions:#}")
            if (( ${#suggestions} )); then
                compadd -a suggestions
            else
                _files
            fi
        }
        (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
        compdef _qwen qwen
        """;

    private const string PowerShell =
        """
        Register-ArgumentCompleter -Native -CommandName qwen -ScriptBlock {
            param($wordToComplete, $commandAst, $cursorPosition)
            $position = $cursorPosition - $commandAst.Extent.StartOffset
            $line = "$commandAst".PadRight($position)
            & $commandAst.CommandElements[0].Value "[suggest:$position]" $line 2>$null |
                Where-Object { $_ -like "$wordToComplete*" -and ($_ -notlike '-*' -or $wordToComplete -like '-*') } |
                ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
        }
        """;

    public static Command Create(Terminal terminal)
    {
        var shell = new Argument<string>("SHELL") { Description = "bash, zsh or pwsh." };
        shell.CompletionSources.Add("bash", "zsh", "pwsh");
        var command = new Command("completion", "Print a script that makes a shell complete commands, options and their values.") { shell };
        command.SetAction(parse =>
        {
            terminal.Output.WriteLine(parse.GetRequiredValue(shell) switch
            {
                "bash" => Bash,
                "zsh" => Zsh,
                "pwsh" => PowerShell,
                var other => throw new UsageException($"SHELL is '{other}'; it must be bash, zsh or pwsh"),
            });
        });
        return command;
    }
}
