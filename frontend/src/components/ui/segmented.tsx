import { cn } from '@/lib/cn'

type Option<T extends string> = { value: T; label: string }

type SegmentedProps<T extends string> = {
  label: string
  options: readonly Option<T>[]
  value: T
  onChange: (value: T) => void
  className?: string
}

/** One of a few, all visible. */
export function Segmented<T extends string>({
  label,
  options,
  value,
  onChange,
  className,
}: SegmentedProps<T>) {
  return (
    <fieldset
      className={cn(
        'inline-flex max-w-full min-w-0 overflow-x-auto rounded-md border border-border bg-card',
        className,
      )}
    >
      <legend className="sr-only">{label}</legend>
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === value}
          onClick={() => onChange(option.value)}
          className={cn(
            'border-r border-border px-2.5 py-[5px] text-small font-medium whitespace-nowrap -outline-offset-2 last:border-r-0',
            option.value === value
              ? 'bg-foreground text-card outline-card'
              : 'text-secondary-foreground hover:bg-muted',
          )}
        >
          {option.label}
        </button>
      ))}
    </fieldset>
  )
}
