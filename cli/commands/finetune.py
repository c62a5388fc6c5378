"""`timbre finetune`: runs stages 1 to 3."""

from timbre.cli.commands.single_stage import record_view, stage_command


@stage_command("finetune", record_view("finetune", "training.json"), "Retrain existing adapters.")
def finetune() -> None:
    """Train the LoRA adapters of VOICE (default: all voices), on every GPU of this machine.

    Runs earlier stages first if needed. An interrupted run resumes from its last checkpoint. Losses and curves:
    .timbre/reports/VOICE/finetune/.
    """
