"""What `import charseq` offers; the commands run in processes of their own."""
