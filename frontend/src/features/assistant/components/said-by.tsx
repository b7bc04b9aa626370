import { formatDuration } from '@/lib/format'

type SaidByProps = { answer: { model: string; host: string; seconds: number } }

/** Whose words they are: nobody has checked them. */
export function SaidBy({ answer }: SaidByProps) {
  return (
    <p className="wrap-text mt-1.5 text-small text-muted-foreground">
      Written by <span className="mono">{answer.model}</span> at{' '}
      <span className="mono">{answer.host}</span> in {formatDuration(answer.seconds)}. It may be
      wrong: check it before you act on it.
    </p>
  )
}
