import { cn } from '@/lib/cn'

type SwitchProps = {
  label: string
  checked: boolean
  disabled?: boolean
  onChange: (checked: boolean) => void
}

/** On or off, at once. The word stands beside it: never told by colour or place alone. */
export function Switch({ label, checked, disabled = false, onChange }: SwitchProps) {
  return (
    <button
      type="button"
      role="switch"
      aria-checked={checked}
      aria-label={label}
      disabled={disabled}
      onClick={() => onChange(!checked)}
      className="inline-flex min-h-6 items-center gap-2 disabled:cursor-not-allowed disabled:opacity-55"
    >
      <span
        aria-hidden="true"
        className={cn(
          'flex h-[18px] w-8 items-center rounded-full border px-0.5 transition-colors duration-120',
          checked ? 'justify-end border-foreground bg-foreground' : 'border-input bg-muted',
        )}
      >
        <span className={cn('size-3 rounded-full', checked ? 'bg-card' : 'bg-muted-foreground')} />
      </span>
      <span aria-hidden="true">{checked ? 'on' : 'off'}</span>
    </button>
  )
}
