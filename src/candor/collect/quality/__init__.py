"""What the labels of a project are worth: of people, of batches, of what they are paid; pure functions of answers."""
