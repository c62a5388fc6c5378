"""`timbre extract`: runs stages 1 and 2."""

from timbre.cli.commands.single_stage import record_view, stage_command


@stage_command("extract", record_view("extract", "extract.json"), "Rebuild existing outputs.")
def extract() -> None:
    """Extract phonemes, semantic codes and speaker embeddings of VOICE (default: all voices), and choose its prompt.

    Runs `validate` first if needed. Full record: .timbre/reports/VOICE/extract/extract.json.
    """
