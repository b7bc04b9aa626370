import { type ComponentProps, type ReactNode, useId } from 'react'
import { Icon } from '@/components/icon'
import { cn } from '@/lib/cn'

export const CONTROL_CLASSES =
  'w-full rounded-md border border-input bg-card px-2.5 py-[6px] text-body text-foreground placeholder:text-muted-foreground disabled:opacity-60 aria-invalid:border-state-failed'

type FieldProps = {
  label: ReactNode
  hint?: ReactNode
  error?: string | undefined
  optional?: boolean
  children: (control: {
    id: string
    'aria-describedby': string | undefined
    'aria-invalid': boolean
  }) => ReactNode
}

/** Label above, hint and error below, all tied to the control. */
export function Field({ label, hint, error, optional = false, children }: FieldProps) {
  const id = useId()
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ')
  return (
    <div className="flex flex-col gap-1.5">
      <label htmlFor={id} className="font-medium">
        {label}
        {optional && <span className="ml-1.5 font-normal text-muted-foreground">optional</span>}
      </label>
      {children({ id, 'aria-describedby': described || undefined, 'aria-invalid': Boolean(error) })}
      {hint && (
        <p id={`${id}-hint`} className="text-small text-muted-foreground">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} className="flex items-start gap-1.5 text-small text-state-failed">
          <Icon name="cross" className="mt-0.5 size-3.5" />
          {error}
        </p>
      )}
    </div>
  )
}

export function Input({ className, ...props }: ComponentProps<'input'>) {
  return <input className={cn(CONTROL_CLASSES, className)} {...props} />
}

export function Textarea({ className, ...props }: ComponentProps<'textarea'>) {
  return <textarea className={cn(CONTROL_CLASSES, 'mono text-small', className)} {...props} />
}

/** The platform's own select: it works with every keyboard, screen reader and phone. */
export function Select({ className, children, ...props }: ComponentProps<'select'>) {
  return (
    <span className={cn('relative inline-block', className)}>
      <select className={cn(CONTROL_CLASSES, 'appearance-none pr-8')} {...props}>
        {children}
      </select>
      <Icon
        name="down"
        className="pointer-events-none absolute top-1/2 right-2.5 size-3.5 -translate-y-1/2 text-muted-foreground"
      />
    </span>
  )
}

type SearchInputProps = Omit<ComponentProps<'input'>, 'type'> & { label: string }

export function SearchInput({ label, className, ...props }: SearchInputProps) {
  return (
    <span className={cn('relative inline-block', className)}>
      <Icon
        name="search"
        className="pointer-events-none absolute top-1/2 left-2.5 size-3.5 -translate-y-1/2 text-muted-foreground"
      />
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        className={cn(CONTROL_CLASSES, 'pl-8')}
        {...props}
      />
    </span>
  )
}
