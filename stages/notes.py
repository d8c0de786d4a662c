"""The kinds of notes: what each one says, how grave it is, and what to do about it.

This is the one table. The stages make their notes by `note`; the summary, `explain`, the
documentation and the tests read `KINDS`.
"""

from __future__ import annotations

__all__ = ("KINDS", "Kind", "note", "transcript_lost")

from typing import Literal

import msgspec

from stages.messages import Located, Note, Severity

Result = Literal["import", "verification"]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of note."""

    severity: Severity  # failed: something that should have come did not
    says: str  # what happened, as part of a sentence
    to_do: str  # what to do about it; empty where there is nothing to do
    leaves_out: bool = False  # a project, an orchestrator or a transcript stays behind
    is_once: bool = False  # given with the row or copy that it is about, never again
    of: Result = "import"


KINDS: dict[str, Kind] = {
    # What should have come and could not, in the order in which it should be mended.
    "no-registry": Kind(
        severity="failed",
        says="there are session records, but nothing says to which projects they belong",
        to_do="name the configuration that registers them with --config and import again",
        leaves_out=True,
    ),
    "invalid-project": Kind(
        severity="failed",
        says="the entry has no usable id or path",
        to_do="correct the entry in the configuration and import again",
        leaves_out=True,
    ),
    "session-taken": Kind(
        severity="failed",
        says="the orchestrator's id belongs to another project",
        to_do="give one of the projects another sessionPrefix and import again",
        leaves_out=True,
    ),
    "directory-unreadable": Kind(
        severity="failed",
        says="a directory of sessions cannot be listed",
        to_do="make it readable and import again",
    ),
    "record-unreadable": Kind(
        severity="failed",
        says="a session record cannot be read",
        to_do="make it readable and import again",
    ),
    "record-oversized": Kind(
        severity="failed",
        says="a session record is larger than a record may be",
        to_do="see what filled it (a record has a few KiB) and import again",
    ),
    "record-damaged": Kind(  # lossy, unless its name alone makes it an orchestrator's
        severity="failed",
        says="a session record does not parse",
        to_do="restore the record from a backup and import again",
    ),
    "transcript-failed": Kind(
        severity="failed",
        says="a transcript was not copied",
        to_do="see to the cause and import again; all else stays",
        leaves_out=True,
    ),
    "transcript-ambiguous": Kind(
        severity="failed",
        says="several buckets have different transcripts of this id; none was taken",
        to_do="remove the wrong ones and import again",
        leaves_out=True,
    ),
    "pointer": Kind(
        severity="failed",
        says="a pointer of an old session directory leads to no registry",
        to_do="restore the file that it points to, or remove the pointer",
    ),
    "config-changed": Kind(
        severity="failed",
        says="the configuration was changed while it was imported",
        to_do="import again; what was added since comes then",
    ),
    "own-file": Kind(
        severity="failed",
        says="the checkout's agent-orchestrator.yaml does not load; the settings of the "
        "entry were taken",
        to_do="mend that file for the record; correct the settings in the new application",
        is_once=True,
    ),
    "too-little-space": Kind(
        severity="failed",
        says="the transcripts need more room than there is",
        to_do="make room where the transcripts go, and look again",
    ),
    "target-unwritable": Kind(
        severity="failed",
        says="nothing can be written where it would go",
        to_do="allow writing there, or name another place with --data-dir or --claude-dir",
    ),
    # What the rules leave out, or what did not come exactly as it was.
    "nothing-to-import": Kind(
        severity="lossy",
        says="there is no registered project",
        to_do="see whether --from and --config are right",
    ),
    "unclaimed-directories": Kind(
        severity="lossy",
        says="session directories that belong to no registered project were not read",
        to_do="register the project and import again, if you miss it",
    ),
    "worktree-stays": Kind(
        severity="lossy",
        says="the orchestrator's legacy worktree is still there; the new application works "
        "in one of its own",
        to_do="commit or save what is not committed there before you delete the old store",
        is_once=True,
    ),
    "transcript-missing": Kind(
        severity="lossy",
        says="the orchestrator's conversation is nowhere to be found",
        to_do="the orchestrator starts without its history; restore the transcript from a "
        "backup and import again, if there is one",
        leaves_out=True,
    ),
    "no-history": Kind(
        severity="lossy",
        says="the record names nothing that its agent could resume by",
        to_do="the orchestrator starts without its history",
        is_once=True,
    ),
    "terminal": Kind(
        severity="lossy",
        says="the only orchestrator has ended",
        to_do="start a new one, or import again with --include-ended",
        leaves_out=True,
    ),
    "not-importable": Kind(
        severity="lossy",
        says="an orchestrator of an agent that cannot be resumed",
        to_do="start a new one",
        leaves_out=True,
    ),
    "live-orchestrator": Kind(
        severity="lossy",
        says="the project has a live orchestrator in the new application already",
        to_do="",
        leaves_out=True,
    ),
    "number-taken": Kind(
        severity="lossy",
        says="the project has a session with the number 0 already",
        to_do="",
        leaves_out=True,
    ),
    "path-taken": Kind(
        severity="lossy",
        says="another project has this path",
        to_do="remove one of the two, if it is not meant to be so",
        leaves_out=True,
    ),
    "several-orchestrators": Kind(
        severity="lossy",
        says="other live orchestrators were left out",
        to_do="see that the best was chosen",
    ),
    "harness": Kind(
        severity="lossy",
        says="an agent is unknown to the new application; that role has none",
        to_do="choose one in the new application, or it will not start that role",
        is_once=True,
    ),
    "permissions-unset": Kind(
        severity="lossy",
        says="nobody wrote permissions for a role: the legacy application ran it without "
        "asking, the new one asks",
        to_do="choose bypass-permissions in the new application, if that is what you want",
        is_once=True,
    ),
    "permissions": Kind(
        severity="lossy",
        says="a permission mode became the nearest one that the new application has",
        to_do="choose another in the new application",
        is_once=True,
    ),
    "refused-value": Kind(
        severity="lossy",
        says="the new application refuses a value",
        to_do="set another one there",
        is_once=True,
    ),
    "session-id": Kind(
        severity="lossy",
        says="the session's id was made fit for the new application",
        to_do="",
        is_once=True,
    ),
    "wrong-type": Kind(
        severity="lossy",
        says="a value has the wrong type and was left out",
        to_do="set it in the new application",
        is_once=True,
    ),
    "unknown-field": Kind(
        severity="lossy",
        says="a field that nobody knows, perhaps misspelled, was left out",
        to_do="set it in the new application",
        is_once=True,
    ),
    "no-home": Kind(
        severity="lossy",
        says="settings that the new application has no place for",
        to_do="set up what it offers instead",
        is_once=True,
    ),
    "inline-overridden": Kind(
        severity="lossy",
        says="fields of the entry gave way to the checkout's own file",
        to_do="see that the own file is right",
        is_once=True,
    ),
    "resume-id": Kind(
        severity="lossy",
        says="a resume id is not what its agent gives out",
        to_do="the orchestrator starts without its history",
        is_once=True,
    ),
    "codex-model": Kind(
        severity="lossy",
        says="the new application has no place for a session's codexModel",
        to_do="choose the model in the new application",
        is_once=True,
    ),
    "restore-fallback-reason": Kind(
        severity="lossy",
        says="the new application has no place for restoreFallbackReason",
        to_do="",
        is_once=True,
    ),
    "transcript-found": Kind(
        severity="lossy",
        says="the newest transcript of the orchestrator's bucket was taken",
        to_do="see that it is the right one",
        is_once=True,
    ),
    "transcript-moved": Kind(
        severity="lossy",
        says="the transcript was found in another bucket",
        to_do="",
        is_once=True,
    ),
    "transcript-part": Kind(
        severity="lossy",
        says="links and special files beside a transcript were left out",
        to_do="copy by hand what you need",
        is_once=True,
    ),
    "hidden-sessions": Kind(
        severity="lossy",
        says="old session directories were not read, as newer ones are there",
        to_do="",
    ),
    "pointed": Kind(
        severity="lossy",
        says="the project is in no config.yaml; another file registers it",
        to_do="",
        is_once=True,
    ),
    "registered-twice": Kind(
        severity="lossy",
        says="two files register the same id; the first counts",
        to_do="see that it is the right one",
        is_once=True,
    ),
    "last-stop": Kind(
        severity="lossy",
        says="the list of what was live at the last stop is damaged and counts as empty",
        to_do="see whether an orchestrator is missing; --include-ended brings it",
    ),
    "legacy-running": Kind(
        severity="lossy",
        says="the legacy application is running; what it changes from now on does not come",
        to_do="stop it with its own `ao stop`, and import again",
    ),
    "data-dir": Kind(
        severity="lossy",
        says="daemons of mid-2026 open another file for this data dir",
        to_do="choose a data dir without #, ? and % in its path",
    ),
    "origin": Kind(
        severity="lossy",
        says="git did not say the origin of a checkout in time; the entry's counts",
        to_do="set it in the new application",
        is_once=True,
    ),
    "notes-not-kept": Kind(
        severity="lossy",
        says="the notes of this import could not be kept in the data dir",
        to_do="save this summary, or import again with --report",
    ),
    # What a verification finds.
    "project-missing": Kind(
        severity="failed",
        says="a project's row is not there",
        to_do="import again",
        of="verification",
    ),
    "session-missing": Kind(
        severity="failed",
        says="an orchestrator's row is not there",
        to_do="import again; if it stays, `import --dry-run` says why",
        of="verification",
    ),
    "copy-missing": Kind(
        severity="failed",
        says="a transcript is not where the new application looks for it",
        to_do="import again",
        of="verification",
    ),
    "transcript-differs": Kind(
        severity="failed",
        says="a transcript does not begin with what its source holds",
        to_do="an import replaces nothing: move the copy away and import again",
        of="verification",
    ),
    "transcript-unreadable": Kind(
        severity="failed",
        says="a transcript could not be compared",
        to_do="make it readable and verify again",
        of="verification",
    ),
    "session-ended": Kind(
        severity="lossy",
        says="the new application has ended the orchestrator since",
        to_do="restore it in the new application",
        of="verification",
    ),
    "session-changed": Kind(
        severity="lossy",
        says="an orchestrator's row differs from the plan by now, which is no fault",
        to_do="",
        of="verification",
    ),
    "project-changed": Kind(
        severity="lossy",
        says="a project's row differs from the plan by now, which is no fault",
        to_do="",
        of="verification",
    ),
}


def note(
    kind: str,
    project_id: str | None,
    text: str,
    source: str | None = None,
    *,
    severity: Severity | None = None,
    about: tuple[str, ...] = (),
) -> Note:
    """Return a note of a kind; a project id of `None` means the store as a whole.

    `severity` is for the kinds that are graver for one record than for another. `about`
    names, one by one, what the summary counts notes of this kind by: fields, causes.
    """
    return Note(
        project_id=project_id,
        kind=kind,
        severity=severity or KINDS[kind].severity,
        text=text,
        source=source,
        about=about,
    )


def transcript_lost(project_id: str, uuid: str, located: Located) -> Note | None:
    """Return the note on a transcript of which there is none to take (rules T3, T4)."""
    if located.state == "ambiguous":
        text = f"transcript {uuid} differs between several buckets, none was taken: "
        return note("transcript-ambiguous", project_id, text + located.detail)
    if located.state == "nowhere" and uuid:
        text = f"transcript {uuid} is nowhere to be found"
        return note("transcript-missing", project_id, text)

    return None
