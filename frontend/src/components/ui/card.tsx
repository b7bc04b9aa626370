import type { ComponentProps, ReactNode } from 'react'
import { cn } from '@/lib/cn'

export function Card({ className, ...props }: ComponentProps<'section'>) {
  return (
    <section
      className={cn('min-w-0 rounded-lg border border-border bg-card shadow-card', className)}
      {...props}
    />
  )
}

type CardHeaderProps = {
  title: ReactNode
  children?: ReactNode
  end?: ReactNode
  className?: string
}

/** `children` stand beside the title, `end` at the right edge. */
export function CardHeader({ title, children, end, className }: CardHeaderProps) {
  return (
    <div
      className={cn(
        'flex min-h-[46px] flex-wrap items-center gap-x-2.5 gap-y-1.5 border-b border-border-soft px-4 py-2',
        className,
      )}
    >
      <h2 className="text-[13.5px] font-semibold tracking-[-0.005em]">{title}</h2>
      {children}
      {end && (
        <div className="ml-auto flex items-center gap-2 text-small text-muted-foreground">
          {end}
        </div>
      )}
    </div>
  )
}
