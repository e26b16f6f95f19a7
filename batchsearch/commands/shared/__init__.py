"""What several commands share: options, endings, how they show what they have to say."""
