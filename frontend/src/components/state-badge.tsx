import { Icon, type IconName } from '@/components/icon'
import { cn } from '@/lib/cn'
import { appearance, type Status, TONE_TEXT, TONE_TINT, type Tone } from '@/lib/status'

/** A state as icon, word and colour. */
export function StateBadge({ status, className }: { status: Status; className?: string }) {
  const spins = status === 'running'
  return <Badge {...appearance(status)} spins={spins} className={className} />
}

type BadgeProps = {
  tone: Tone
  icon: IconName
  word: string
  spins?: boolean
  className?: string | undefined
}

/** For states that are not those of executions and stages. */
export function Badge({ tone, icon, word, spins = false, className }: BadgeProps) {
  return (
    <span
      className={cn(
        'inline-flex items-center gap-1.5 rounded-sm py-0.5 pr-2 pl-1.5 text-small font-semibold whitespace-nowrap forced-border',
        TONE_TEXT[tone],
        TONE_TINT[tone],
        className,
      )}
    >
      <Icon name={icon} className={cn('size-[13px] stroke-2', spins && 'spin-running')} />
      {word}
    </span>
  )
}

/** Where the word stands close by: the icon on its tint, with the word for screen readers. */
export function StateIcon({ status, className }: { status: Status; className?: string }) {
  const { tone, icon, word } = appearance(status)
  return (
    <span
      className={cn('inline-flex rounded-sm p-[3px]', TONE_TEXT[tone], TONE_TINT[tone], className)}
    >
      <Icon
        name={icon}
        className={cn('size-[13px] stroke-2', status === 'running' && 'spin-running')}
      />
      <span className="sr-only">{word}</span>
    </span>
  )
}
