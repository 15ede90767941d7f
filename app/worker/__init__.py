"""What happens after the answer: deliver mail, publish uploads, watch OpenML process them, clean up."""
