import { cn } from '@/lib/cn'

/** Stands where content will be, at its size, so that nothing moves when it comes. */
export function Skeleton({ className }: { className?: string }) {
  return (
    <div aria-hidden="true" className={cn('appear-late rounded-sm bg-border-soft', className)} />
  )
}

/** Rows of a list that is loading, with a word for screen readers. */
export function SkeletonRows({ rows, label }: { rows: number; label: string }) {
  return (
    <div role="status" className="flex flex-col gap-3 p-4">
      <span className="sr-only">{label}</span>
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} className="h-6" />
      ))}
    </div>
  )
}
