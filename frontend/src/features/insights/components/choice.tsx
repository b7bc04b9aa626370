import type { ReactNode } from 'react'
import { cn } from '@/lib/cn'

type ChoiceProps = {
  chosen: boolean
  onChoose: () => void
  top: ReactNode
  title: string
  children: ReactNode
}

/** One entry of a list whose details are shown beside it. */
export function Choice({ chosen, onChoose, top, title, children }: ChoiceProps) {
  return (
    <li>
      <button
        type="button"
        aria-pressed={chosen}
        onClick={onChoose}
        className={cn(
          'block w-full px-4 py-3 text-left -outline-offset-2',
          chosen ? 'bg-insight-tint' : 'hover:bg-muted',
        )}
      >
        <span className="flex flex-wrap items-center gap-x-2 gap-y-1 text-small">{top}</span>
        <span className="wrap-text mt-1.5 block text-[14px] font-semibold">{title}</span>
        <span className="mt-0.5 block text-small text-muted-foreground">{children}</span>
      </button>
    </li>
  )
}
