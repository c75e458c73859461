"""Recipe to stages to audits to run store. Training, audits and annotators meet here and nowhere else."""
