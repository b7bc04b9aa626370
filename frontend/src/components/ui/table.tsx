import type { ComponentProps } from 'react'
import { cn } from '@/lib/cn'

/** Its columns can ask how wide it is. What is hidden in it but for screen readers is clipped with the rest. */
export function Table({ className, ...props }: ComponentProps<'table'>) {
  return (
    <div className="@container relative overflow-x-auto rounded-b-lg">
      <table className={cn('w-full border-collapse', className)} {...props} />
    </div>
  )
}

export function Th({ className, ...props }: ComponentProps<'th'>) {
  return (
    <th
      scope="col"
      className={cn(
        'border-b border-border-soft px-4 py-2 text-left text-tiny font-medium whitespace-nowrap text-muted-foreground max-tablet:px-3',
        className,
      )}
      {...props}
    />
  )
}

/** Rows are positioned so that a link in them can cover them. */
export function Tr({ className, ...props }: ComponentProps<'tr'>) {
  return (
    <tr
      className={cn(
        'relative border-b border-border-soft last:border-b-0 hover:bg-muted data-ticked:bg-background',
        className,
      )}
      {...props}
    />
  )
}

export function Td({ className, ...props }: ComponentProps<'td'>) {
  return <td className={cn('px-4 py-[9px] align-middle max-tablet:px-3', className)} {...props} />
}
