"""Completion for PowerShell, 5.1 and later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from man.model import Switch
from man.tables import ARCHIVE, HEADER, STORE_PREFIXES, STORE_WORDS, Tables, many, offers, operand

_FRAME = r"""# PowerShell completion for wmbackup
# @HEADER@
# To use it, add to your profile the line: . PATH\wmbackup.ps1

Register-ArgumentCompleter -Native -CommandName 'wmbackup', 'wmbackup.exe' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    # By command: its options and commands, each with what it means.
    $options = @{
@OPTIONS@
    }
    $commands = @{
@COMMANDS@
    }
    # By command and option, what the value can be; and by command, what the operand can be.
    $values = @{
@VALUES@
    }
    $operands = @{
@OPERANDS@
    }
    $several = @(@SEVERAL@)

    function Get-Offer([string] $text, [string] $meaning, [string] $kind) {
        [System.Management.Automation.CompletionResult]::new($text, $text, $kind, $meaning)
    }

    # Offers what begins with $begin, behind $lead.
    function Get-Offers([string[]] $offered, [string] $begin, [string] $lead) {
        foreach ($offer in $offered) {
            switch -CaseSensitive ($offer) {
                '@nothing' { }
                '@files' { Get-Names $begin $lead '*' }
                '@folders' { Get-Names $begin $lead '' }
                '@archives' {
                    Get-Names $begin $lead '*@ARCHIVE@'
                    Get-Names $begin $lead '*@ARCHIVE@.age'
                }
                '@stores' {
                    $prefix = @(@PREFIXES@) | Where-Object { $begin.StartsWith($_) }
                    if ($prefix) {
                        Get-Names $begin.Substring($prefix.Length) "$lead$prefix" ''
                    } else {
                        foreach ($word in @(@STORES@)) {
                            if ($word.StartsWith($begin)) {
                                Get-Offer "$lead$word" $word 'ParameterValue'
                            }
                        }
                        Get-Names $begin $lead ''
                    }
                }
                default {
                    if ($offer.StartsWith($begin)) {
                        Get-Offer "$lead$offer" $offer 'ParameterValue'
                    }
                }
            }
        }
    }

    # Offers folders, and the files whose names match.
    function Get-Names([string] $begin, [string] $lead, [string] $pattern) {
        $found = [System.Management.Automation.CompletionCompleters]::CompleteFilename($begin)
        foreach ($one in $found) {
            $folder = $one.ResultType -eq 'ProviderContainer'
            if ($folder -or ($pattern -and $one.ListItemText -like $pattern)) {
                $kind = $one.ResultType
                [System.Management.Automation.CompletionResult]::new(
                    $lead + $one.CompletionText, $one.ListItemText, $kind, $one.ToolTip)
            }
        }
    }

    $path = ''
    $value = $null
    $only = $false
    $count = 0
    $before = $commandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        Select-Object -Skip 1
    foreach ($element in $before) {
        $word = $element.Extent.Text.Trim('"', "'")
        if ($value) { $value = $null }
        elseif ($only) { $count++ }
        elseif ($word -ceq '--') { $only = $true }
        elseif ($word -clike '--*=*') { }
        elseif ($word -clike '-?*') {
            $value = $values["$path $word"]
            if (-not $value) { $value = $values["* $word"] }
        }
        elseif ($commands[$path] -and $commands[$path].Contains($word)) {
            $path = "$path $word".Trim()
        }
        else { $count++ }
    }

    if ($value) {
        Get-Offers $value $wordToComplete ''
    }
    elseif (-not $only -and $wordToComplete -clike '--*=*') {
        $name, $begin = $wordToComplete -split '=', 2
        $value = $values["$path $name"]
        if (-not $value) { $value = $values["* $name"] }
        if ($value) { Get-Offers $value $begin "$name=" }
    }
    elseif (-not $only -and $wordToComplete.StartsWith('-')) {
        foreach ($table in $options[$path], $options['*']) {
            foreach ($name in $table.Keys) {
                if ($name.StartsWith($wordToComplete)) {
                    Get-Offer $name $table[$name] 'ParameterName'
                }
            }
        }
    }
    elseif (-not $only -and $commands[$path]) {
        foreach ($name in $commands[$path].Keys) {
            if ($name.StartsWith($wordToComplete)) {
                Get-Offer $name $commands[$path][$name] 'Command'
            }
        }
    }
    elseif ($operands[$path] -and ($count -eq 0 -or $several -contains $path)) {
        Get-Offers $operands[$path] $wordToComplete ''
    }
}
"""


def completion(tables: Tables) -> str:
    """Return the file."""
    parts = {
        "@HEADER@": HEADER,
        "@OPTIONS@": "\n".join(_options(tables)),
        "@COMMANDS@": "\n".join(_commands(tables)),
        "@VALUES@": "\n".join(_values(tables)),
        "@OPERANDS@": "\n".join(_operands(tables)),
        "@SEVERAL@": _list(" ".join(page.path) for page in tables.pages if many(page)),
        "@ARCHIVE@": ARCHIVE,
        "@PREFIXES@": _list(STORE_PREFIXES),
        "@STORES@": _list((*STORE_WORDS, *STORE_PREFIXES)),
    }
    text = _FRAME
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def _switches(tables: Tables) -> Iterator[tuple[str, tuple[Switch, ...]]]:
    yield "*", tables.common
    for page in tables.pages:
        yield " ".join(page.path), tables.own(page)


def _options(tables: Tables) -> Iterator[str]:
    for path, switches in _switches(tables):
        yield f"        {_quoted(path)} = [ordered]@{{"
        for switch in switches:
            for name in switch.all_names:
                yield f"            {_quoted(name)} = {_quoted(switch.help)}"
        yield "        }"


def _commands(tables: Tables) -> Iterator[str]:
    for page in tables.pages:
        if page.commands:
            yield f"        {_quoted(' '.join(page.path))} = [ordered]@{{"
            for command in page.commands:
                yield f"            {_quoted(command.path[-1])} = {_quoted(command.summary)}"
            yield "        }"


def _values(tables: Tables) -> Iterator[str]:
    for path, switches in _switches(tables):
        for switch in switches:
            if switch.value is not None:
                for name in switch.all_names:
                    place = _quoted(f"{path} {name}")
                    yield f"        {place} = @({_list(offers(switch.value))})"


def _operands(tables: Tables) -> Iterator[str]:
    for page in tables.pages:
        if page.arguments:
            yield f"        {_quoted(' '.join(page.path))} = @({_list(operand(page))})"


def _list(words: Iterable[str]) -> str:
    return ", ".join(_quoted(word) for word in words)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
