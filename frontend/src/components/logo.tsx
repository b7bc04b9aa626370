export function Logo({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 24 24" aria-hidden="true" className={className}>
      <rect width="24" height="24" rx="6.5" fill="var(--color-foreground)" />
      <path
        d="M12 4.5c3.4 3 5 5.4 5 8.3a5 5 0 01-10 0c0-1.7.7-3.1 1.9-4.4.3 1.5.9 2.3 1.8 2.8-.2-2.6.2-4.7 1.3-6.7z"
        fill="var(--color-ember)"
      />
    </svg>
  )
}
